// fhir-kit-client: its habits, and a referral from end to end. Runs in a folder where it is
// installed: node --input-type=module - '{"base": …, "requester": …, …}' < kit.mjs
import assert from 'node:assert/strict'
import { Client } from 'fhir-kit-client'

const { base, requester, performer, resources } = JSON.parse(process.argv[2])
const client = (bearerToken) => new Client({ baseUrl: base, bearerToken })
const [clinic, pantry] = [client(requester), client(performer)]
const status = (resource) => Client.httpFor(resource).response.status
const refused = (promise, code) => assert.rejects(promise, (error) => {
  assert.equal(error.response.status, code)
  assert.equal(error.response.data.resourceType, 'OperationOutcome')
  return true
})

const statement = await clinic.capabilityStatement()
assert.equal(statement.fhirVersion, '4.0.1')

// a referral, all at once
const sent = await clinic.transaction({ body: resources.transaction })
assert.equal(sent.type, 'transaction-response')
const [who, ask, asked] = sent.entry.map((entry) => entry.response.location.split('/').slice(-4, -2).join('/'))
const task = { resourceType: 'Task', id: asked.split('/')[1] }

// the performer finds it, with what it is about
let found = await pantry.search({
  resourceType: 'Task',
  searchParams: { _id: task.id, owner: 'Organization/pantry', _include: ['Task:focus', 'Task:patient'] }
})
assert.deepEqual(found.entry.map((entry) => entry.resource.resourceType).sort(), ['Patient', 'ServiceRequest', 'Task'])
found = await pantry.search({
  resourceType: 'Task', searchParams: { _id: task.id }, options: { postSearch: true }
})
const mine = found.entry[0].resource
const focus = await pantry.resolve({ reference: mine.focus.reference, context: found })
assert.equal(`${focus.resourceType}/${focus.id}`, ask)
const about = await pantry.search({
  resourceType: 'ServiceRequest', compartment: { resourceType: 'Patient', id: who.split('/')[1] }
})
assert.equal(about.entry[0].resource.id, focus.id)

// it accepts by a whole Task, guarded, and completes by a patch
const guard = { headers: { 'If-Match': `W/"${mine.meta.versionId}"` } }
const accepted = await pantry.update({ ...task, body: { ...mine, status: 'accepted' }, options: guard })
assert.equal(status(accepted), 200)
await refused(pantry.update({ ...task, body: { ...mine, status: 'accepted' }, options: guard }), 412)
const procedure = { ...resources.procedure, subject: { reference: who }, basedOn: [{ reference: ask }] }
const done = await pantry.create({ resourceType: 'Procedure', body: procedure })
assert.equal(status(done), 201)
const output = [{ ...resources.output[0], valueReference: { reference: `Procedure/${done.id}` } }]
await pantry.patch({
  ...task,
  jsonPatch: [{ op: 'replace', path: '/status', value: 'completed' }, { op: 'add', path: '/output', value: output }]
})

// the requester sees it, and each step
const seen = await clinic.read(task)
assert.equal(seen.status, 'completed')
const told = await clinic.resolve({ reference: seen.output[0].valueReference.reference })
assert.equal(told.id, done.id)
const past = await clinic.history(task)
assert.deepEqual(past.entry.map((entry) => entry.resource.status), ['completed', 'accepted', 'requested'])
assert.equal((await clinic.vread({ ...task, version: '1' })).status, 'requested')
assert.equal((await clinic.history({ resourceType: 'Task' })).type, 'history')
assert.equal((await clinic.history()).type, 'history')

// conditional create and update
const [{ system, value }] = resources.patient.identifier
const one = { resourceType: 'Patient', body: resources.patient }
const unless = { headers: { 'If-None-Exist': `identifier=${system}|${value}` } }
const first = await clinic.create({ ...one, options: unless })
const again = await clinic.create({ ...one, options: unless })
assert.deepEqual([status(first), status(again), again.id], [201, 200, first.id])
const searchParams = { identifier: `${system}|${value}` }
const upserted = await clinic.update({ ...one, searchParams, body: { ...resources.patient, active: true } })
assert.deepEqual([upserted.id, upserted.active], [first.id, true])

// pages, to and fro
const batch = await clinic.batch({
  body: {
    resourceType: 'Bundle',
    type: 'batch',
    entry: [1, 2, 3].map(() => ({ resource: resources.patient, request: { method: 'POST', url: 'Patient' } }))
  }
})
assert.deepEqual(batch.entry.map((entry) => entry.response.status.slice(0, 3)), ['201', '201', '201'])
let page = await clinic.search({ resourceType: 'Patient', searchParams: { ...searchParams, _count: 3 } })
let number = 0
while (page) {
  number += page.entry.length
  page = await clinic.nextPage({ bundle: page })
}
assert.equal(number, 4)
const all = await clinic.search({ searchParams: { _type: 'Patient,Task', _id: task.id } })
assert.equal(all.entry.length, 1)

// operations
const everything = await clinic.operation({ name: 'everything', resourceType: 'Patient', id: who.split('/')[1], method: 'get' })
assert.ok(everything.entry.length >= 3)
const judged = await clinic.operation({ name: '$validate', resourceType: 'Patient', input: resources.patient })
assert.equal(judged.resourceType, 'OperationOutcome')

// its own errors
await refused(pantry.read({ resourceType: 'Patient', id: first.id }), 404)
await refused(client('no').read(task), 401)
await refused(clinic.search({ resourceType: 'Patient', searchParams: { familly: 'x' } }), 400)
await clinic.delete({ resourceType: 'Patient', id: first.id })
await refused(clinic.read({ resourceType: 'Patient', id: first.id }), 410)
console.log('closed')
