// Reproducible comparisons: node bench/run.mjs [NAME...]
//   [--slipway build/slipway] [--static build/slipway-static] [--rounds 5]
//
// Each bench runs its contestants in turn (A B C C B A ...) behind one server,
// so that whatever else the machine does touches all alike. A figure is the
// median of the rounds; a ratio is the median of the ratios within each round,
// never of figures from different runs. Temporary files go to $TMPDIR or /tmp;
// the file system they are on is part of the result.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { benches } from './benches.mjs'
import { searchPath } from '../tests/lib/servers.mjs'
import { Server } from './server.mjs'
import { stopFronts } from './servers_1g.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      slipway: { type: 'string', default: 'build/slipway' },
      static: { type: 'string', default: 'build/slipway-static' },
      rounds: { type: 'string', default: '5' },
    },
  })
  const names = positionals.length ? positionals : Object.keys(benches)
  const unknown = names.find((name) => !Object.hasOwn(benches, name))
  if (unknown || !(Number(values.rounds) >= 1)) {
    throw new Error(`usage: run.mjs [${Object.keys(benches).join('|')}]... ` +
      '[--slipway PROGRAM] [--static PROGRAM] [--rounds NUMBER]')
  }
  const programs = { slipway: path.resolve(values.slipway),
    static: path.resolve(values.static) }
  for (const name in programs) fs.accessSync(programs[name], fs.constants.X_OK)
  return { names, ...programs, rounds: Number(values.rounds) }
}

function build(dir, name, ...libraries) {
  const program = path.join(dir, name)
  execFileSync(process.env.CC ?? 'cc', ['-std=gnu11', '-D_GNU_SOURCE', '-O2',
    '-pthread', '-o', program, path.join(here, `${name}.c`), ...libraries],
  { stdio: 'inherit' })
  return program
}

function printMachine() {
  const output = (...command) => execFileSync(command[0], command.slice(1),
    { encoding: 'utf8' }).trim()
  const cpus = os.cpus()
  const [device, type, free] = output('df', '--output=source,fstype,avail',
    '-h', os.tmpdir()).split('\n')[1].trim().split(/\s+/)
  console.log(`${cpus.length} x ${cpus[0].model}, ` +
    `${(os.totalmem() / 2 ** 30).toFixed(1)} GiB memory`)
  console.log(`${os.type()} ${os.release()}, ` +
    `${output('lighttpd', '-v').split(' ')[0]}, node ${process.version}`)
  console.log(`${os.tmpdir()}: ${type}, ${free} free`)
  // Such an ext4 does not reuse inodes for minutes and scans past them, which
  // makes lighttpd's temporary files so slow that nothing else shows.
  const journals = fs.existsSync('/proc/fs/jbd2')
    ? fs.readdirSync('/proc/fs/jbd2') : []
  if (type === 'ext4' &&
    !journals.some((name) => name.startsWith(`${path.basename(device)}-`))) {
    console.log('WARNING: this ext4 has no journal and creates files slowly; ' +
      'set TMPDIR to another file system; one on a loop device needs ' +
      'losetup --direct-io=on')
  }
}

async function main() {
  const { names, ...given } = options()
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-bench-'))
  fs.chmodSync(dir, 0o755) // servers that are not root read in there
  process.env.PATH = searchPath
  const cleanUp = async () => {
    await Promise.all([Server.stopAll(), stopFronts()])
    fs.rmSync(dir, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => cleanUp().finally(() => process.exit(130)))
  }
  try {
    const tools = { ...given, dir, client: build(dir, 'client'),
      minimal: build(dir, 'minimal', '-lfcgi'), cold: build(dir, 'cold'),
      constant: build(dir, 'constant') }
    printMachine()
    for (const name of names) await benches[name](tools)
  } finally {
    await cleanUp()
  }
}

main().catch((error) => {
  console.error(`bench: ${error.message}`)
  process.exitCode = 1
})
