// npm's @tus/server with @tus/file-store, the other contestant of tus-1g:
// node bench/tus_server.mjs SOCKET DIRECTORY PREFIX [wide|sha256]
//
// Set up as its documentation says. With wide, streams hold 1 MiB instead of
// node's default; with sha256, it computes that digest, as slipway does. Ends
// at SIGTERM.

import { createHash } from 'node:crypto'
import http from 'node:http'
import { createRequire } from 'node:module'
import { setDefaultHighWaterMark } from 'node:stream'
import { pathToFileURL } from 'node:url'

const tests = createRequire(new URL('../tests/package.json', import.meta.url))
const load = (name) => import(pathToFileURL(tests.resolve(name)))

const [socket, directory, prefix, variant] = process.argv.slice(2)
if (variant === 'wide') setDefaultHighWaterMark(false, 1 << 20)

const { Server } = await load('@tus/server')
const { FileStore } = await load('@tus/file-store')

// Only of one whole PATCH; nothing keeps the state of the digest.
class DigestStore extends FileStore {
  async write(readable, id, offset) {
    const hash = createHash('sha256')
    readable.on('data', (chunk) => hash.update(chunk))
    const end = await super.write(readable, id, offset)
    console.log(`${id}: ${hash.digest('hex')}`)
    return end
  }
}

const Store = variant === 'sha256' ? DigestStore : FileStore
const tus = new Server({
  path: prefix,
  datastore: new Store({ directory }),
  relativeLocation: true,
})
http.createServer({ requestTimeout: 0 }, tus.handle.bind(tus)).listen(socket)
process.on('SIGTERM', () => process.exit(0))
