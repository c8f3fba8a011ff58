// One lighttpd with the back-ends that a bench asks for, started from a
// configuration written into a directory of its own, and what /proc tells
// about its processes. Every back-end gets the prefix /NAME, which no other
// name may begin with, and the directory www/files/NAME, which lighttpd also
// serves as static files. On demand an nginx stands beside it, in front of the
// same back-ends.

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const TICKS = 100 // USER_HZ, the unit of times in /proc on Linux
const DEADLINE = 10_000 // milliseconds to start or to stop

const running = new Set()

const quote = (text) => `"${text.replace(/["\\$]/g, '\\$&')}"`

const fromHere = (name) => fileURLToPath(new URL(name, import.meta.url))

// What a FastCGI back-end may be; each gives the lines of its fastcgi.server
// entry.
const backends = {
  minimal: (b, dir) => ({
    command: b.program,
    environment: { MINIMAL_DIR: dir, MINIMAL_THREADS: '32' },
  }),

  slipway: (b, dir, state) => {
    const ini = path.join(state, 'slipway.ini')
    const lines = []
    const sections = {
      storage: { data: path.join(state, 'data'), durability: b.durability },
      uploads: { directory: dir, url: `/files/${b.name}` },
      upload: { digest: b.digest },
      download: { offload: b.offload ?? 'xsendfile' },
      access: { anonymous: 'upload download list delete' },
      server: b.threads ? { max_threads: b.threads } : {},
    }
    for (const [section, options] of Object.entries(sections)) {
      lines.push(`[${section}]`)
      for (const key in options) lines.push(`${key} = ${options[key]}`)
    }
    fs.writeFileSync(ini, lines.join('\n') + '\n')
    // The MINIMAL_ pair lets bench/minimal.c stand in for slipway.
    return {
      command: b.program,
      environment: {
        SLIPWAY_CONFIG: ini,
        MINIMAL_DIR: dir,
        MINIMAL_THREADS: String(b.threads ?? 32),
      },
    }
  },

  php: (b, dir, state) => {
    fs.writeFileSync(path.join(dir, 'form.php'), `<?php
$to = ${JSON.stringify(dir)} . '/' . bin2hex(random_bytes(16));
$ok = move_uploaded_file($_FILES['file']['tmp_name'], $to);
http_response_code($ok ? 201 : 500);
`)
    return {
      command: `php-cgi -d upload_tmp_dir=${state}`,
      prefix: `/files/${b.name}/form.php`,
      checkLocal: true,
      environment: { PHP_FCGI_CHILDREN: '8', PHP_FCGI_MAX_REQUESTS: '100000' },
    }
  },
}

function which(command) {
  const [program, ...rest] = command.split(' ')
  const found = program.includes('/') ? path.resolve(program)
    : process.env.PATH.split(':').map((d) => path.join(d, program))
      .find((p) => fs.existsSync(p))
  if (!found || !fs.existsSync(found)) throw new Error(`no ${program}`)
  return [found, ...rest].join(' ')
}

function backendLines(b, root) {
  const dir = path.join(root, 'www/files', b.name)
  const state = path.join(root, b.name)
  fs.mkdirSync(state)
  fs.mkdirSync(path.join(state, 'data'))
  const set = backends[b.kind](b, dir, state)
  const environment = { ...set.environment, BENCH_BACKEND: b.name }
  const pairs = Object.entries(environment)
    .map(([key, value]) => `${quote(key)} => ${quote(value)}`)
  return `
fastcgi.server += ( ${quote(set.prefix ?? '/' + b.name)} => ((
  "bin-path" => ${quote(which(set.command))},
  "socket" => ${quote(path.join(root, b.name + '.sock'))},
  "bin-environment" => ( ${pairs.join(', ')} ),
  "max-procs" => 1,
  "check-local" => "${set.checkLocal ? 'enable' : 'disable'}",
  "x-sendfile" => "enable",
  "x-sendfile-docroot" => ( ${quote(dir)} )
)) )`
}

// The socket of a back-end; lighttpd numbers those of programs it starts.
const socketOf = (root, b) =>
  path.join(root, b.kind === 'tus' ? `${b.name}.sock` : `${b.name}.sock-0`)

const proxyLines = (b, root) => `
proxy.server += ( ${quote('/' + b.name)} =>
  (( "socket" => ${quote(socketOf(root, b))} )) )`

// Streaming 1 is two to three times faster than 2, and both pass a body of
// more than 64 KiB through temporary files; chunks of 64 KiB instead of 8 save
// up to a fifth of lighttpd's CPU time. The temporary files are on the file system of the
// uploads, so that WebDAV can move them. A client takes up to three
// descriptors: its own, the back-end's and that of a temporary file.
function configuration(root, port, list) {
  return `
server.modules = ( "mod_fastcgi", "mod_proxy", "mod_webdav" )
server.document-root = ${quote(path.join(root, 'www'))}
server.bind = "127.0.0.1"
server.port = ${port}
server.errorlog = ${quote(path.join(root, 'error.log'))}
server.upload-dirs = ( ${quote(path.join(root, 'spool'))} )
server.stream-request-body = 1
server.stream-response-body = 1
server.chunkqueue-chunk-sz = 65536
server.max-fds = 8192
server.listen-backlog = 2048
server.max-keep-alive-requests = 1000000
${list.filter((b) => b.kind === 'webdav').map((b) => `
$HTTP["url"] =~ "^/files/${b.name}/" { webdav.activate = "enable" }`).join('')}
${list.filter((b) => backends[b.kind]).map((b) => backendLines(b, root))
    .join('')}
${list.filter((b) => b.kind === 'tus').map((b) => proxyLines(b, root)).join('')}
`
}

// Each back-end has a port of its own, as nginx-example.conf knows only one
// slipway.
function nginxServer(root, b, port) {
  const server = (lines) => `
  server {
    listen 127.0.0.1:${port};
    ${lines}
  }`
  if (b.kind === 'tus') {
    return server(`location / {
      proxy_pass http://unix:${socketOf(root, b)};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      client_max_body_size 0;
    }`)
  }
  const example = fs.readFileSync(fromHere('../nginx-example.conf'), 'utf8')
  const pass = 'fastcgi_pass slipway;'
  if (!example.includes(pass)) throw new Error(`nginx-example.conf: no ${pass}`)
  const file = path.join(root, `nginx-${b.name}.conf`)
  fs.writeFileSync(file,
    example.replace(pass, `fastcgi_pass unix:${socketOf(root, b)};`))
  return server(`set $slipway_uploads ${path.join(root, 'www/files', b.name)};
    include ${file};`)
}

// A buffer of 256 KiB instead of 16 halves the CPU time of nginx.
function nginxConfiguration(root, list, ports) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `${process.getuid() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${path.join(root, 'nginx.pid')};
error_log ${path.join(root, 'error.log')};
events { worker_connections 1024; }
http {
  access_log off;
  client_body_buffer_size 256k;
  ${temporary.map((t) => `${t}_temp_path ${path.join(root, 'spool', t)};`)
    .join('\n  ')}
${list.map((b, i) => nginxServer(root, b, ports[i])).join('')}
}
`
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().on('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

// A file that may be gone, or whose process may.
function read(file) {
  try {
    return fs.readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

// The fields of /proc/PID/stat from the state on; undefined if it has ended.
function stat(pid) {
  const text = read(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return text === '' || fields[0] === 'Z' ? undefined : fields
}

function descendants(pid) {
  const parents = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), Number(stat(name)?.[1])])
  const found = [pid]
  for (const one of found) {
    found.push(...parents.filter(([, up]) => up === one).map(([p]) => p))
  }
  return found.slice(1)
}

// Wait for ready() while the process child lives.
async function untilReady(child, ready, complain) {
  for (const end = Date.now() + DEADLINE; !await ready();) {
    if (child.exitCode !== null || Date.now() > end) {
      throw new Error(`${child.spawnfile} did not start: ${complain()}`)
    }
    await sleep(20)
  }
}

export const exists = (pid) => stat(pid) !== undefined

// CPU seconds so far, user and system, of all threads, ended ones too.
export function cpu(pid) {
  const fields = stat(pid)
  if (!fields) throw new Error(`process ${pid} has ended`)
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

// A figure of /proc/PID/status in KiB: VmRSS, VmHWM.
export function memory(pid, name) {
  const found = new RegExp(`^${name}:\\s*(\\d+)`, 'm')
    .exec(read(`/proc/${pid}/status`))
  if (!found) throw new Error(`process ${pid} has ended`)
  return Number(found[1])
}

export function resetPeak(pid) {
  fs.writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

export class Server {
  // list: { name, kind: minimal|slipway|php|webdav|tus, program, ... } each;
  // nginx: whether to put one before the slipways and tus too.
  static async start(list, { nginx = false } = {}) {
    const server = new Server()
    server.root = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-bench-'))
    running.add(server)
    for (const dir of ['spool', ...list.map((b) => `www/files/${b.name}`)]) {
      fs.mkdirSync(path.join(server.root, dir), { recursive: true })
    }
    server.port = await freePort()
    const file = path.join(server.root, 'lighttpd.conf')
    fs.writeFileSync(file, configuration(server.root, server.port, list))
    for (const b of list.filter(({ kind }) => kind === 'tus')) {
      await server.#launchTus(b)
    }
    await server.#launch(file, list.filter((b) => backends[b.kind]))
    if (nginx) {
      await server.#launchNginx(list.filter(({ kind }) =>
        kind === 'slipway' || kind === 'tus'))
    }
    return server
  }

  // Processes that lighttpd did not start, by name: back-ends and nginx.
  others = new Map()

  // Where nginx has the back-ends, by name.
  ports = new Map()

  #spawnOther(name, program, args, options) {
    const log = fs.openSync(path.join(this.root, 'error.log'), 'a')
    const child = spawn(which(program), args,
      { stdio: ['ignore', log, log], ...options })
    fs.closeSync(log)
    this.others.set(name, child)
    return child
  }

  async #launchTus(b) {
    const socket = socketOf(this.root, b)
    const child = this.#spawnOther(b.name, process.execPath,
      [fromHere('tus_server.mjs'), socket,
        path.join(this.root, 'www/files', b.name), `/${b.name}`, b.variant],
      { env: { ...process.env, NODE_ENV: 'production' } })
    await untilReady(child, () => fs.existsSync(socket), () => this.log())
  }

  async #launchNginx(list) {
    const ports = await Promise.all(list.map(freePort))
    list.forEach((b, i) => this.ports.set(b.name, ports[i]))
    const file = path.join(this.root, 'nginx.conf')
    fs.writeFileSync(file, nginxConfiguration(this.root, list, ports))
    const child = this.#spawnOther('nginx', 'nginx',
      ['-p', this.root, '-c', file])
    await untilReady(child, () => answers(ports[0]), () => this.log())
  }

  // Ready when the port answers and every back-end runs.
  async #launch(file, list) {
    this.child = spawn(which('lighttpd'), ['-D', '-f', file],
      { stdio: ['ignore', 'ignore', 'pipe'] })
    let complaint = ''
    this.child.stderr.on('data', (text) => { complaint += text })
    await untilReady(this.child, async () => await answers(this.port) &&
      list.every((b) => this.#find(b.name)), () => complaint + this.log())
  }

  // The last lines that lighttpd and the others have logged.
  log() {
    return read(path.join(this.root, 'error.log')).split('\n').slice(-12)
      .join('\n')
  }

  // The process of a back-end: the child of lighttpd with its name.
  #find(name) {
    return descendants(this.child.pid).find((pid) => {
      const environment = read(`/proc/${pid}/environ`).split('\0')
      return environment.includes(`BENCH_BACKEND=${name}`)
    })
  }

  pid(name) {
    const pid = this.others.get(name)?.pid ?? this.#find(name)
    if (!pid) throw new Error(`back-end ${name} is not running\n${this.log()}`)
    return pid
  }

  // CPU seconds of a front server, without the back-ends below lighttpd.
  frontCpu(front) {
    if (front !== 'nginx') return cpu(this.child.pid)
    const { pid } = this.others.get('nginx')
    return [pid, ...descendants(pid)].reduce((sum, one) => sum + cpu(one), 0)
  }

  async stop() {
    const children = [this.child, ...this.others.values()]
      .filter((child) => child?.pid && child.exitCode === null)
    if (children.length) {
      const pids = children.flatMap(({ pid }) => [pid, ...descendants(pid)])
      for (const child of children) child.kill('SIGTERM')
      const end = Date.now() + DEADLINE
      while (pids.some(exists) && Date.now() < end) await sleep(20)
      for (const pid of pids.filter(exists)) {
        console.error(`${pid} did not end at SIGTERM; killed`)
        process.kill(pid, 'SIGKILL')
      }
    }
    fs.rmSync(this.root, { recursive: true, force: true })
    running.delete(this)
  }

  static async stopAll() {
    for (const server of running) await server.stop()
  }
}
