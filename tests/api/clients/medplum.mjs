// @medplum/core: its habits, and a referral from end to end. Runs in a folder where it is
// installed: node --input-type=module - '{"base": …, "requester": …, …}' < medplum.mjs
import assert from 'node:assert/strict'
import { MedplumClient, createReference, getReferenceString } from '@medplum/core'

const { base, requester, performer, resources } = JSON.parse(process.argv[2])
const client = (accessToken, more) => new MedplumClient({
  baseUrl: base.replace(/fhir$/, ''), fhirUrlPath: 'fhir', accessToken, ...more
})
const [clinic, pantry] = [client(requester), client(performer)]
const refused = (promise, code) => assert.rejects(promise, (error) => {
  assert.equal(error.outcome?.resourceType, 'OperationOutcome', error)
  assert.equal(error.outcome.issue[0].code, code)
  return true
})

// a referral
const who = await clinic.createResource(resources.patient)
const ask = await clinic.createResource({ ...resources.request, subject: createReference(who) })
const asked = await clinic.createResource({ ...resources.task, for: createReference(who), focus: createReference(ask) })

// the performer finds and reads it
const mine = await pantry.searchOne('Task', { _id: asked.id, owner: 'Organization/pantry', status: 'requested' })
assert.equal(mine.id, asked.id)
const brought = await pantry.search('Task', `_id=${asked.id}&_include=Task:focus&_include=Task:patient`)
assert.equal(brought.entry.length, 3)
assert.equal((await pantry.readReference(mine.for)).name[0].family, 'Rivera')
assert.equal((await pantry.readReference(mine.focus)).status, 'active')

// it accepts by a whole Task, and completes by a patch
const accepted = await pantry.updateResource({ ...mine, status: 'accepted' })
assert.equal(accepted.meta.versionId, '2')
const done = await pantry.createResource({ ...resources.procedure, subject: mine.for, basedOn: [mine.focus] })
const output = [{ ...resources.output[0], valueReference: { reference: getReferenceString(done) } }]
await pantry.patchResource('Task', asked.id, [
  { op: 'test', path: '/meta/versionId', value: '2' },
  { op: 'replace', path: '/status', value: 'completed' },
  { op: 'add', path: '/output', value: output }
])

// the requester sees it, and each step
const seen = await clinic.readResource('Task', asked.id, { cache: 'reload' })
assert.equal(seen.status, 'completed')
assert.equal((await clinic.readReference(seen.output[0].valueReference)).id, done.id)
const past = await clinic.readHistory('Task', asked.id, { count: 2 })
assert.deepEqual(past.entry.map((entry) => entry.resource.status), ['completed', 'accepted'])
assert.equal((await clinic.readVersion('Task', asked.id, '1')).status, 'requested')

// conditional create and update
const [{ system, value }] = resources.patient.identifier
const same = await clinic.createResourceIfNoneExist(resources.patient, `identifier=${system}|${value}`)
assert.equal(same.id, who.id)
const upserted = await clinic.upsertResource({ ...resources.patient, active: true }, { identifier: `${system}|${value}` })
assert.deepEqual([upserted.id, upserted.active], [who.id, true])
assert.equal((await clinic.updateResource(upserted)).meta.versionId, upserted.meta.versionId)

// a transaction; a batch that the client makes itself of calls that come together
const sent = await clinic.executeBatch(resources.transaction)
assert.deepEqual(sent.entry.map((entry) => entry.response.status.slice(0, 3)), ['201', '201', '201'])
const eager = client(requester, { autoBatchTime: 20 })
const [first, second, third] = await Promise.all([
  eager.readResource('Patient', who.id),
  eager.readResource('Task', asked.id),
  eager.searchResources('ServiceRequest', { subject: getReferenceString(who) })
])
assert.deepEqual([first.id, second.id, third.length], [who.id, asked.id, 1])
await refused(Promise.all([
  eager.readResource('Patient', who.id, { cache: 'reload' }), eager.readResource('Patient', 'nobody')
]), 'not-found')

// pages
const family = `Paged${value}`
for (let n = 0; n < 5; n++) await clinic.createResource({ ...resources.patient, name: [{ family }] })
const ids = new Set()
for await (const page of clinic.searchResourcePages('Patient', { family, _count: 2 })) {
  assert.ok(page.length <= 2)
  page.forEach((each) => ids.add(each.id))
}
assert.equal(ids.size, 5)
const counted = await clinic.search('Patient', { family, _count: 1, _total: 'accurate' })
assert.equal(counted.total, 5)
const chained = await clinic.searchResources('Task', { 'patient.identifier': `${system}|${value}`, _sort: '-_lastUpdated' })
assert.deepEqual(chained.map((each) => each.id), [asked.id])

// operations
const everything = await clinic.readPatientEverything(who.id)
assert.ok(everything.entry.some((entry) => entry.resource.id === asked.id))
assert.equal((await clinic.readPatientSummary(who.id)).type, 'document')
assert.equal((await clinic.validateResource(resources.patient)).resourceType, 'OperationOutcome')
const exported = await clinic.bulkExport('', 'Patient', undefined, { pollStatusOnAccepted: true, pollStatusPeriod: 50 })
assert.deepEqual(exported.output.map((each) => each.type), ['Patient'])
const lines = await (await clinic.download(exported.output[0].url)).text()
assert.ok(lines.split('\n').some((line) => line && JSON.parse(line).id === who.id))

// its own errors
await refused(pantry.readResource('Patient', [...ids][0]), 'not-found')
await refused(clinic.createResource({ resourceType: 'Patient', gender: '?' }), 'value')
await refused(clinic.search('Patient', { familly: 'x' }), 'not-supported')
await clinic.deleteResource('Patient', [...ids][0])
await refused(clinic.readResource('Patient', [...ids][0], { cache: 'reload' }), 'deleted')
console.log('closed')
