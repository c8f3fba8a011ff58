// The load, made by bench/client.c, what comes back, and the order of the
// contestants.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const GIB = 2 ** 30

// The contestants in the order of one round: every second round goes backwards,
// since each begins with the memory and the disk that the one before it left.
export const inTurn = (list, round) => round % 2 ? [...list].reverse() : list

// Run the load; gives its figures and, after put and patch, the body of the
// answer.
export async function load(tools, { port }, mode, target, ...args) {
  const { stdout } = await run(tools.client,
    [mode, String(port), target, ...args.map(String)])
  const end = stdout.indexOf('\n')
  return { ...JSON.parse(stdout.slice(0, end)), body: stdout.slice(end + 1) }
}

// Upload one file; gives the paths url, download and delete of the answer, or
// the one path that WebDAV, which answers nothing, has for all.
export async function put(tools, server, to, bytes) {
  const sent = await load(tools, server, 'put', to, bytes)
  if (sent.body.startsWith('{')) {
    return { ...sent, ...JSON.parse(sent.body).files[0] }
  }
  const where = to.replace('*', '1')
  return { ...sent, url: where, delete: where }
}

export async function remove({ port }, file) {
  const answer = await fetch(`http://127.0.0.1:${port}${file.delete}`,
    { method: 'DELETE' })
  if (answer.status !== 204) throw new Error(`DELETE: ${answer.status}`)
}
