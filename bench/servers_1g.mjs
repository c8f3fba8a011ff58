// servers-1g: uploads and downloads of 1 GiB through every front server, next
// to what that server does by itself.
//
// The servers are those of the tests, so each has its example configuration as
// users get it; beside it stands a location that takes PUT by the server's own
// WebDAV into the same directory. A slipway has one way to digest, so each
// front server stands there once for each; all run from the first round to the
// last, and idle ones cost nothing. nginx has two tables: it can stream bodies
// to slipway or hand them over by name.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { Server as Front, root } from '../tests/lib/server.mjs'
import { children, family } from '../tests/lib/processes.mjs'
import { bodiesByName, servers } from '../tests/lib/servers.mjs'
import { column, median, ratioTable, verdict } from './figures.mjs'
import { GIB, inTurn, load, put, remove } from './load.mjs'
import { cpu } from './server.mjs'

const apacheDav = `
LoadModule dav_module /usr/lib/apache2/modules/mod_dav.so
LoadModule dav_fs_module /usr/lib/apache2/modules/mod_dav_fs.so
DavLockDB "\${SLIPWAY_UPLOADS}/../dav-locks"
Alias "/dav/" "\${SLIPWAY_UPLOADS}/"
<Location "/dav">
    Dav On
    LimitRequestBody 0
</Location>
`

const lighttpdDav = `
server.modules += ( "mod_webdav" )
alias.url += ( "/dav/" => var.slipway_uploads + "/" )
$HTTP["url"] =~ "^/dav/" {
    webdav.activate = "enable"
    server.stream-request-body = 1
}
`

// nginx's WebDAV, as nginx comes or with the buffer that slipway gets, which is
// most of what there is to set.
const nginxDav = (place, buffer) => `
location ^~ ${place}/ {
    alias $slipway_uploads/;
    dav_methods PUT DELETE;
    client_max_body_size 0;
    ${buffer}
}
`

// lighttpd's place for bench/minimal.c, with the settings of slipway's.
const minimal = (program) => `
$HTTP["url"] =~ "^/minimal(/|$)" {
    server.stream-request-body = 1
    server.stream-response-body = 2
    server.max-request-size = 0
    fastcgi.server = ( "/minimal" => ( "minimal" => (
        "socket" => var.slipway_socket + ".minimal",
        "bin-path" => "${program}",
        "bin-environment" => ( "MINIMAL_DIR" => var.slipway_uploads ),
        "max-procs" => 1,
        "check-local" => "disable",
        "tcp-fin-propagate" => "enable"
    ) ) )
}
`

// The front servers to start: in which table its figures are, and its ways to
// upload, with where they lead.
function fronts(tools) {
  const upload = '/slipway/upload'
  const pair = (name, table, ways, more) => [
    { name, table, digest: 'none', ways: { ...ways, 'slipway none': upload }, ...more },
    { name, table, digest: 'sha256', ways: { 'slipway sha256': upload }, ...more },
  ]
  const apache = (name) => pair(name, servers[name].title, { WebDAV: '/dav' },
    { extra: apacheDav })
  const nginx = (table, example) => {
    const [buffer] = /client_body_buffer_size .*;/
      .exec(fs.readFileSync(example, 'utf8'))
    return pair('nginx', table,
      { WebDAV: '/dav', 'WebDAV, same buffer': '/dav-alike' },
      { extra: nginxDav('/dav', '') + nginxDav('/dav-alike', buffer), example })
  }
  const byName = path.join(tools.dir, 'nginx-bodies.conf')
  fs.writeFileSync(byName, bodiesByName())
  return [
    ...pair('lighttpd', servers.lighttpd.title,
      { WebDAV: '/dav', minimal: '/minimal' },
      { extra: lighttpdDav + minimal(tools.minimal) }),
    ...['apache-proxy', 'apache-fcgid', 'apache-cgi'].flatMap(apache),
    ...nginx('nginx', path.join(root, 'nginx-example.conf')),
    ...nginx('nginx, bodies by name', byName),
  ]
}

const running = new Set()

async function start(tools, { name, digest, extra, example }) {
  const server = await Front.start({
    server: name,
    bin: tools.slipway,
    extra,
    example,
    config: {
      ...servers[name].config,
      'upload.digest': digest,
      'access.anonymous': 'upload download list delete',
      // Where nginx leaves bodies, if it does.
      ...name === 'nginx' && { 'server.body_files': 'spool/body' },
    },
  })
  running.add(server)
  return server
}

export async function stopFronts() {
  for (const server of running) await server.stop()
  running.clear()
}

// The CPU seconds of a server and of what is behind it, from now to stop().
class Meter {
  #first = new Map()
  #last = new Map()
  #backs = new Set()

  constructor(server) {
    this.server = server
    this.#lookAtAll()
    this.#first = new Map(this.#last)
    if (server.name === 'apache-cgi') this.#follow()
  }

  // A CGI program is gone when its request ends, and nobody waits for it: look
  // at the children of mod_cgid's daemon, the one process without threads,
  // every few milliseconds.
  #follow() {
    const daemon = children(this.server.process.pid)
      .find((pid) => fs.readdirSync(`/proc/${pid}/task`).length === 1)
    this.timer = setInterval(() => {
      const programs = children(daemon)
      programs.forEach((pid) => this.#backs.add(pid))
      this.#look(programs)
    }, 20)
  }

  #lookAtAll() {
    const backs = this.server.workers()
    backs.forEach((pid) => this.#backs.add(pid))
    this.#look([...family(this.server.process.pid), ...backs])
  }

  #look(pids) {
    for (const pid of pids) {
      try {
        this.#last.set(pid, cpu(pid))
      } catch {
        // It has ended since; what was seen of it counts.
      }
    }
  }

  stop() {
    clearInterval(this.timer)
    this.#lookAtAll()
    const used = { back: 0, front: 0 }
    for (const [pid, seconds] of this.#last) {
      used[this.#backs.has(pid) ? 'back' : 'front'] +=
        seconds - (this.#first.get(pid) ?? 0)
    }
    return used
  }
}

async function measure(server, work) {
  execFileSync('sync')
  const meter = new Meter(server)
  const result = await work()
  return { ...result, speed: 1024 / result.seconds, ...meter.stop() }
}

// One upload by each way of a front server; add(way, result) gets them. The
// file of slipway without a digest is also downloaded, by itself and offloaded.
let serial = 0
async function uploads(tools, { server, ways }, round, add) {
  for (const [way, to] of inTurn(Object.entries(ways), round)) {
    const file = await measure(server, () =>
      put(tools, server, `${to}/${++serial}-*.bin`, GIB))
    add(way, file)
    if (way === 'slipway none') {
      for (const from of ['url', 'download']) {
        add(from, await measure(server, () =>
          load(tools, server, 'download', file[from])))
      }
    }
    await remove(server, file)
  }
}

const cells = (results) =>
  ['back', 'front'].map((key) => median(column(results, key)).toFixed(2))

// What slipway without a digest is to reach of the server's own WebDAV.
const targets = { 'apache-proxy': 1, nginx: 1 }

// The table of one server; results: by way.
function uploadTable(title, target, results) {
  const ways = Object.keys(results)
    .filter((way) => way !== 'url' && way !== 'download')
  const speeds = (way) => column(results[way], 'speed')
  const toMinimal = (way) => {
    if (!results.minimal) return []
    const least = speeds('minimal')
    const ratio = median(speeds(way).map((speed, i) => speed / least[i]))
    return [ratio.toFixed(2),
      verdict(way === 'slipway none' ? 0.9 : undefined, ratio >= 0.9)]
  }
  ratioTable(`servers-1g: PUT of 1 GiB, ${title}; ratio to WebDAV`,
    'MiB/s', ['CPU s/GiB', 'of server',
      ...results.minimal ? ['to minimal', 'target'] : []],
    ways.map((way) => [way, speeds(way), speeds('WebDAV'),
      way === 'slipway none' ? target : undefined,
      ...cells(results[way]), ...toMinimal(way)]))
}

function downloadTable(all) {
  ratioTable('servers-1g: GET of 1 GiB; ratio to the static file', 'MiB/s',
    ['CPU s/GiB', 'of server'], Object.entries(all)
      .flatMap(([title, { url, download }]) => {
        const reference = column(url, 'speed')
        return [['static file', url], ['slipway offloaded', download]]
          .map(([label, results]) => [`${title}: ${label}`,
            column(results, 'speed'), reference, undefined, ...cells(results)])
      }))
}

export async function servers1g(tools) {
  const list = fronts(tools)
  const all = Object.fromEntries(list.map(({ table }) => [table, {}]))
  try {
    for (const front of list) front.server = await start(tools, front)
    for (let n = 0; n <= 2 * tools.rounds; n++) {
      for (const front of inTurn(list, n)) {
        await uploads(tools, front, n, (way, result) => {
          all[front.table][way] ??= []
          if (n > 0) all[front.table][way].push(result)
        }).catch((error) => {
          throw new Error(`${front.name}: ${error.message}\n${front.server.log()}`)
        })
      }
    }
  } finally {
    await stopFronts()
  }
  for (const { table, name, digest } of list) {
    if (digest === 'none') uploadTable(table, targets[name], all[table])
  }
  downloadTable(all)
}
