// One lighttpd with the back-ends that a bench asks for, started from a
// configuration written into a directory of its own, and what /proc tells
// about its processes. Every back-end gets the prefix /NAME and the directory
// www/files/NAME, which lighttpd also serves as static files.

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const TICKS = 100 // USER_HZ, the unit of times in /proc on Linux
const DEADLINE = 10_000 // milliseconds to start or to stop

const running = new Set()

const quote = (text) => `"${text.replace(/["\\$]/g, '\\$&')}"`

// What a back-end may be; each gives the lines of its fastcgi.server entry.
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

// Streaming 1 is two to three times faster than 2, and both pass a body of
// more than 64 KiB through temporary files; chunks of 64 KiB instead of 8 save
// up to a fifth of lighttpd's CPU time. The temporary files are on the file system of the
// uploads, so that WebDAV can move them. A client takes up to three
// descriptors: its own, the back-end's and that of a temporary file.
function configuration(root, port, list) {
  return `
server.modules = ( "mod_fastcgi", "mod_webdav" )
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
  // list: { name, kind: minimal|slipway|php|webdav, program, ... } each.
  static async start(list) {
    const server = new Server()
    server.root = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-bench-'))
    running.add(server)
    for (const dir of ['spool', ...list.map((b) => `www/files/${b.name}`)]) {
      fs.mkdirSync(path.join(server.root, dir), { recursive: true })
    }
    server.port = await freePort()
    const file = path.join(server.root, 'lighttpd.conf')
    fs.writeFileSync(file, configuration(server.root, server.port, list))
    await server.#launch(file, list.filter((b) => backends[b.kind]))
    return server
  }

  // Ready when the port answers and every back-end runs.
  async #launch(file, list) {
    this.child = spawn(which('lighttpd'), ['-D', '-f', file],
      { stdio: ['ignore', 'ignore', 'pipe'] })
    let complaint = ''
    this.child.stderr.on('data', (text) => { complaint += text })
    this.ended = new Promise((resolve) => this.child.on('exit', resolve))
    const ready = async () => await answers(this.port) &&
      list.every((b) => this.#find(b.name))
    for (const end = Date.now() + DEADLINE; !await ready();) {
      if (this.child.exitCode !== null || Date.now() > end) {
        throw new Error(`lighttpd did not start: ${complaint}${this.log()}`)
      }
      await sleep(20)
    }
  }

  // The last lines of lighttpd's error log.
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
    const pid = this.#find(name)
    if (!pid) throw new Error(`back-end ${name} is not running\n${this.log()}`)
    return pid
  }

  async stop() {
    if (this.child?.exitCode === null) {
      const pids = descendants(this.child.pid)
      this.child.kill('SIGTERM')
      await this.ended
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
