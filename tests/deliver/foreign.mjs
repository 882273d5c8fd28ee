// A listener made with npm's node-hl7-server: it acknowledges, and prints what it understood.
import { createRequire } from 'node:module'
import net from 'node:net'

const { Server } = createRequire(process.argv[2] + '/')('node-hl7-server')
const probe = net.createServer().listen(0, '127.0.0.1', () => {
  const { port } = probe.address()
  probe.close(() => listen(port))
})

function listen (port) {
  const server = new Server({ bindAddress: '127.0.0.1' })
  const inbound = server.createInbound({ port }, async (request, response) => {
    const message = request.getMessage()
    const said = ['MSH.9.1', 'MSH.9.2', 'MSH.10'].map((path) => message.get(path).toString())
    console.log(JSON.stringify(said))
    await response.sendResponse('AA')
  })
  inbound.on('listen', () => console.log(port))
}
