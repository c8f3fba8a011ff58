// The benches, by name. Each starts its own server, measures all contestants
// in every round, prints a table and stops the server.

import { execFileSync } from 'node:child_process'
import { coldStart } from './cold_start.mjs'
import {
  column, figure, median, percentiles, printTable, ratioTable, verdict,
} from './figures.mjs'
import { GIB, inTurn, load, put, remove } from './load.mjs'
import { Server, cpu, memory, resetPeak } from './server.mjs'
import { servers1g } from './servers_1g.mjs'

const slipway = (tools, name, durability, digest, more) =>
  ({ name, kind: 'slipway', program: tools.slipway, durability, digest, ...more })
const minimal = (tools) =>
  ({ name: 'minimal', kind: 'minimal', program: tools.minimal })
const webdav = { name: 'webdav', kind: 'webdav' }
const tusServer = (variant) =>
  ({ name: `tus-${variant}`, kind: 'tus', variant })

// Where an upload to b goes; a name that no earlier upload has, since
// replacing a file is other work than making one.
let uploads = 0
function target(b) {
  if (b.of) return `/${b.of.name}/upload`
  if (b.kind === 'php') return '/files/php/form.php'
  const name = `${++uploads}-*.bin`
  return b.kind === 'webdav' ? `/files/webdav/${name}`
    : `/${b.name}/upload/${name}`
}

const upload = (tools, server, b, bytes) =>
  put(tools, server, target(b), bytes)

// Start a server with list and run measure(server, b) for each b in turn.
// Gives, by name, the array of what measure gave. The first round only warms
// up: memory touched for the first time is slow, above all in a guest.
async function contest(rounds, list, measure) {
  const server = await Server.start(list.filter((b) => !b.of),
    { nginx: list.some((b) => b.front === 'nginx') })
  const results = Object.fromEntries(list.map((b) => [b.name, []]))
  try {
    for (let round = 0; round <= rounds; round++) {
      for (const b of inTurn(list, round)) {
        execFileSync('sync')
        const result = await measure(server, b)
        if (round > 0) results[b.name].push(result)
      }
    }
  } catch (error) {
    throw new Error(`${error.message}\n${server.log()}`)
  } finally {
    await server.stop()
  }
  return results
}

async function put1g(tools) {
  const list = [
    minimal(tools),
    slipway(tools, 'process-none', 'process', 'none'),
    slipway(tools, 'process-sha256', 'process', 'sha256'),
    slipway(tools, 'power-sha256', 'power', 'sha256'),
    webdav,
  ]
  // A large upload varies much more than the rest, by a fifth and above.
  const results = await contest(3 * tools.rounds, list, async (server, b) => {
    const front = server.child.pid
    const back = b.kind === 'webdav' ? undefined : server.pid(b.name)
    const before = [back ? cpu(back) : 0, cpu(front)]
    const file = await upload(tools, server, b, GIB)
    const used = { back: (back ? cpu(back) : 0) - before[0],
      front: cpu(front) - before[1] }
    await remove(server, file)
    return { speed: 1024 / file.seconds, ...used }
  })
  const targets = { 'process-none': 0.9, 'process-sha256': 0.75 }
  const reference = column(results.minimal, 'speed')
  ratioTable('put-1g: PUT of 1 GiB; ratio to minimal', 'MiB/s',
    ['CPU s/GiB', 'of lighttpd'], list.map(({ name, kind }) =>
      [`${kind} ${name}`.replace(/^(\w+) \1$/, '$1'),
        column(results[name], 'speed'), reference, targets[name],
        kind === 'webdav' ? '' : median(column(results[name], 'back')).toFixed(2),
        median(column(results[name], 'front')).toFixed(2)]))
}

// One request of tus; gives the answer.
async function tus(port, method, where, status, headers = {}) {
  const answer = await fetch(`http://127.0.0.1:${port}${where}`,
    { method, headers: { 'Tus-Resumable': '1.0.0', ...headers } })
  if (answer.status !== status) {
    throw new Error(`${method} ${where}: ${answer.status}`)
  }
  return answer.headers
}

// Where uploads are created. nginx gives each slipway the place that
// nginx-example.conf has for it.
function tusTarget({ kind, name, of, front }) {
  if (kind === 'tus') return `/${of?.name ?? name}`
  return front === 'nginx' ? '/slipway/upload' : `/${name}/upload`
}

// Create, PATCH, see that all has arrived, remove.
async function tusUpload(tools, server, b) {
  const back = server.pid(b.of?.name ?? b.name)
  const port = b.front ? server.ports.get(b.of.name) : server.port
  const created = await tus(port, 'POST', tusTarget(b), 201,
    { 'Upload-Length': String(GIB) })
  const where = created.get('location')
  const before = [cpu(back), server.frontCpu(b.front)]
  const { seconds } = await load(tools, { port }, 'patch', where, GIB)
  const used = { back: cpu(back) - before[0],
    front: server.frontCpu(b.front) - before[1] }
  const state = await tus(port, 'HEAD', where, 200)
  if (state.get('upload-offset') !== String(GIB)) {
    throw new Error(`${b.name}: offset ${state.get('upload-offset')}`)
  }
  await tus(port, 'DELETE', where, 204)
  return { speed: 1024 / seconds, ...used }
}

// The reference is @tus/server as its documentation sets it up, which neither
// digests nor syncs. Beside it, with larger streams, and with the digest that
// process-sha256 has.
async function tus1g(tools) {
  const list = [
    tusServer('plain'),
    tusServer('wide'),
    tusServer('sha256'),
    slipway(tools, 'process-none', 'process', 'none'),
    slipway(tools, 'process-sha256', 'process', 'sha256'),
    slipway(tools, 'power-sha256', 'power', 'sha256'),
  ]
  const again = list.map((b) =>
    ({ ...b, name: `nginx ${b.name}`, of: b, front: 'nginx' }))
  const results = await contest(3 * tools.rounds, [...list, ...again],
    (server, b) => tusUpload(tools, server, b))
  const labels = {
    'tus-plain': '@tus/server', 'tus-wide': '@tus/server, 1 MiB',
    'tus-sha256': '@tus/server, sha256',
  }
  for (const [front, prefix] of [['lighttpd', ''], ['nginx', 'nginx ']]) {
    const of = (b, key) => column(results[prefix + b.name], key)
    ratioTable(`tus-1g: PATCH of 1 GiB by tus through ${front}; ratios to ` +
      '@tus/server', 'MiB/s',
    ['CPU s/GiB', 'ratio', 'target', `of ${front}`], list.map((b) => {
      const reference = of(list[0], 'back')
      const ratio = median(of(b, 'back').map((s, i) => s / reference[i]))
      const aim = b.kind === 'slipway' && b.durability === 'process'
      return [labels[b.name] ?? `slipway ${b.name}`, of(b, 'speed'),
        of(list[0], 'speed'), aim ? 1.2 : undefined,
        median(of(b, 'back')).toFixed(2), ratio.toFixed(2),
        verdict(aim ? 0.7 : undefined, ratio <= 0.7),
        median(of(b, 'front')).toFixed(2)]
    }))
  }
}

async function small(tools) {
  const process = slipway(tools, 'process', 'process', 'sha256')
  const power = slipway(tools, 'power', 'power', 'sha256')
  const list = [minimal(tools), process, power,
    { ...process, name: 'process-form', of: process },
    { ...power, name: 'power-form', of: power },
    webdav, { name: 'php', kind: 'php' }]
  const results = await contest(tools.rounds, list, (server, b) => {
    const form = b.of || b.kind === 'php'
    return load(tools, server, 'small', target(b), 8, 2, 1024,
      form ? 'form' : 'put')
  })
  const rates = Object.fromEntries(list.map(({ name }) =>
    [name, column(results[name], 'rate')]))
  const row = (label, name, reference) => [label, rates[name],
    rates[reference], undefined, ...percentiles(results[name])]
  ratioTable('small: uploads of 1 KiB, 8 clients; ratio to WebDAV', '1/s',
    ['p50 ms', 'p99 ms'], [
      row('WebDAV PUT', 'webdav', 'webdav'),
      row('minimal PUT', 'minimal', 'webdav'),
      row('slipway process PUT', 'process', 'webdav'),
      row('slipway power PUT', 'power', 'webdav'),
    ])
  ratioTable('small: forms with a file of 1 KiB, 8 clients; ratio to PHP',
    '1/s', ['p50 ms', 'p99 ms'], [
      row('PHP form', 'php', 'php'),
      row('slipway process form', 'process-form', 'php'),
      row('slipway power form', 'power-form', 'php'),
    ])
}

// The contestants of a download are files, uploaded once before the rounds.
async function downloads(tools, bytes, measure) {
  const back = slipway(tools, 'slipway', 'process', 'sha256')
  const list = [back, minimal(tools)]
  const server = await Server.start(list)
  try {
    const own = await upload(tools, server, list[0], bytes)
    const other = await upload(tools, server, list[1], bytes)
    const targets = { static: own.url, slipway: own.download,
      minimal: other.download }
    const results = { static: [], slipway: [], minimal: [] }
    for (let round = 0; round <= tools.rounds; round++) {
      for (const name in targets) {
        const result = await measure(server, targets[name])
        if (round > 0) results[name].push(result)
      }
    }
    return results
  } catch (error) {
    throw new Error(`${error.message}\n${server.log()}`)
  } finally {
    await server.stop()
  }
}

async function download1g(tools) {
  const large = await downloads(tools, GIB, async (server, from) =>
    1024 / (await load(tools, server, 'download', from)).seconds)
  ratioTable('download-1g: GET of 1 GiB; ratio to the static file', 'MiB/s', [],
    [['static file', large.static, large.static],
      ['minimal X-Sendfile', large.minimal, large.static],
      ['slipway offloaded', large.slipway, large.static, 0.9]])
  const little = await downloads(tools, 16384, async (server, from) =>
    (await load(tools, server, 'get', from, 16, 2)).rate)
  ratioTable('download-1g: GETs of 16 KiB, 16 connections; ratio to minimal',
    '1/s', [], [['minimal X-Sendfile', little.minimal, little.minimal],
      ['static file', little.static, little.minimal],
      ['slipway offloaded', little.slipway, little.minimal, 0.9]])
}

const SLOW = { clients: 1000, bytes: 200 * 1024, rate: 20 * 1024 }

// Each round has a new process, whose memory is first that of an idle one.
async function slowRound(tools, durability) {
  const b = slipway(tools, 'slipway', durability, 'sha256',
    { threads: SLOW.clients + 100 })
  const server = await Server.start([b])
  try {
    await remove(server, await upload(tools, server, b, 1024))
    const pid = server.pid(b.name)
    const idle = memory(pid, 'VmRSS')
    resetPeak(pid)
    const result = await load(tools, server, 'slow', target(b), SLOW.clients,
      SLOW.bytes, SLOW.rate)
    const growth = (memory(pid, 'VmHWM') - idle) / SLOW.clients
    return { ...result, growth }
  } catch (error) {
    throw new Error(`${error.message}\n${server.log()}`)
  } finally {
    await server.stop()
  }
}

async function slow(tools) {
  const results = { process: [], power: [] }
  for (let round = 0; round < tools.rounds; round++) {
    for (const name in results) {
      results[name].push(await slowRound(tools, name))
    }
  }
  const rows = [['', 'completed', 'seconds', 'KiB/client', 'target',
    'probe p50 ms', 'p99 ms', 'target', 'probes', 'pacing late ms']]
  for (const name in results) {
    const all = results[name]
    const probes = all.map((r) => r.probe)
    const growth = Math.max(...column(all, 'growth'))
    const p99 = median(column(probes, 'p99'))
    rows.push([`slipway ${name}`, String(Math.min(...column(all, 'completed'))),
      figure(median(column(all, 'seconds'))), figure(growth),
      verdict(64, growth <= 64), figure(median(column(probes, 'p50'))),
      figure(p99), verdict(100, p99 <= 100),
      String(Math.min(...column(probes, 'requests'))),
      figure(median(column(all, 'late')))])
  }
  printTable(`slow: ${SLOW.clients} uploads of ${SLOW.bytes / 1024} KiB at ` +
    `${SLOW.rate / 1024} KiB/s at once, probes of 1 KiB beside them`, rows)
}

async function status(tools) {
  const list = [minimal(tools), slipway(tools, 'slipway', 'process', 'sha256')]
  const results = await contest(tools.rounds, list, (server, b) =>
    load(tools, server, 'get', `/${b.name}/status`, 16, 2))
  const reference = column(results.minimal, 'rate')
  ratioTable('status: GET /status, 16 connections; ratio to minimal', '1/s',
    ['p50 ms', 'p99 ms'], list.map(({ name }) =>
      [name, column(results[name], 'rate'), reference,
        name === 'slipway' ? 0.7 : undefined, ...percentiles(results[name])]))
}

async function rss(tools) {
  const b = slipway(tools, 'slipway', 'process', 'sha256', { offload: 'none' })
  const results = await contest(tools.rounds, [b], async (server) => {
    const pid = server.pid(b.name)
    resetPeak(pid)
    const file = await upload(tools, server, b, 2 * GIB)
    const up = memory(pid, 'VmHWM')
    resetPeak(pid)
    const { bytes, seconds } = await load(tools, server, 'download',
      file.download)
    if (bytes !== 2 * GIB) throw new Error(`download of ${bytes} bytes`)
    await remove(server, file)
    return { up, upSpeed: 2048 / file.seconds, down: memory(pid, 'VmHWM'),
      downSpeed: 2048 / seconds }
  })
  const row = (label, key) => {
    const peak = Math.max(...column(results.slipway, key)) / 1024
    return [label, figure(peak), verdict(16, peak <= 16),
      figure(median(column(results.slipway, `${key}Speed`)))]
  }
  printTable('rss: peak memory of the slipway process, all rounds', [
    ['', 'MiB', 'target', 'MiB/s'],
    row('PUT of 2 GiB', 'up'), row('GET of 2 GiB, not offloaded', 'down')])
}

export const benches = {
  'put-1g': put1g, 'tus-1g': tus1g, small, 'download-1g': download1g, slow,
  status, rss, 'servers-1g': servers1g, 'cold-start': coldStart,
}
