// lighttpd with slipway behind it, from the project's own example
// configuration, in a temporary directory of its own.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { request } from './http.mjs';
import { waitFor } from './wait.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const binary = process.env.SLIPWAY_BIN ?? path.join(root, 'build/slipway');
export const apiBase = '/slipway';

// A TCP port that was free a moment ago.
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// The text of an ini file from {"section.key": value}.
export function iniText(config) {
  const sections = new Map();
  for (const [name, value] of Object.entries(config)) {
    const [section, key] = name.split('.');
    if (!sections.has(section)) sections.set(section, []);
    sections.get(section).push(`${key} = ${value}\n`);
  }
  return [...sections].map(([s, lines]) => `[${s}]\n${lines.join('')}`).join('\n');
}

// What a site's own lighttpd.conf does around lighttpd-example.conf.
export function wrapperText({ dir, port, bin = binary, extra = '' }) {
  const at = (name) => JSON.stringify(path.join(dir, name));
  return [
    `var.slipway_bin = ${JSON.stringify(bin)}`,
    `var.slipway_config = ${at('slipway.ini')}`,
    `var.slipway_socket = ${at('slipway.sock')}`,
    `var.slipway_uploads = ${at('uploads')}`,
    `server.bind = "127.0.0.1"`,
    `server.port = ${port}`,
    `server.document-root = ${JSON.stringify(path.join(root, 'htdocs'))}`,
    `server.errorlog = ${at('lighttpd.log')}`,
    `server.upload-dirs = ( ${at('spool')} )`,
    `server.pid-file = ${at('lighttpd.pid')}`,
    'index-file.names = ( "index.html" )',
    'mimetype.assign = ( ".html" => "text/html; charset=utf-8", ".css" => "text/css",',
    '  ".js" => "text/javascript", ".svg" => "image/svg+xml" )',
    `include ${JSON.stringify(path.join(root, 'lighttpd-example.conf'))}`,
    extra,
    '',
  ].join('\n');
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function children(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

// A running server. config: ini values over the defaults of slipway, except
// that durability is process, so that the tests do not wait for a busy disk;
// env: more environment; extra: lines after the included configuration.
export class Server {
  static async start(options = {}) {
    const server = new Server(options);
    try {
      await server.#launch();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  constructor({ config = {}, env = {}, extra = '', bin = binary } = {}) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-'));
    this.uploads = path.join(this.dir, 'uploads');
    this.data = path.join(this.dir, 'data');
    this.database = path.join(this.data, 'slipway.db');
    this.incoming = path.join(this.data, 'incoming');
    this.options = { config, env, extra, bin };
    for (const name of ['uploads', 'spool']) fs.mkdirSync(path.join(this.dir, name));
    fs.mkdirSync(this.data, { mode: 0o700 });
    fs.writeFileSync(path.join(this.dir, 'slipway.ini'), iniText({
      'storage.data': this.data,
      'storage.durability': 'process',
      'uploads.directory': this.uploads,
      ...config,
    }));
  }

  async #launch() {
    const { env, extra, bin } = this.options;
    const conf = path.join(this.dir, 'lighttpd.conf');
    this.port = await freePort();
    fs.writeFileSync(conf, wrapperText({ dir: this.dir, port: this.port, bin, extra }));
    const out = fs.openSync(path.join(this.dir, 'lighttpd.out'), 'a');
    this.process = spawn('lighttpd', ['-D', '-f', conf], {
      stdio: ['ignore', out, out],
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...env },
    });
    fs.closeSync(out);
    let failed = null;
    this.process.once('error', (error) => { failed = error; });
    await waitFor('lighttpd with slipway', async () => {
      if (failed || this.process.exitCode !== null) return true;
      const answer = await request(this.port, { path: `${apiBase}/status` });
      return answer?.status === 200;
    }, { timeout: 15000 }).catch((error) => { failed = error; });
    if (failed || this.process.exitCode !== null) {
      throw new Error(`server did not start:\n${this.log()}`, { cause: failed });
    }
  }

  // The process ids of slipway below this lighttpd.
  workers() {
    return children(this.process?.pid);
  }

  // Everything that lighttpd and slipway have logged.
  log() {
    return ['lighttpd.out', 'lighttpd.log']
      .map((name) => path.join(this.dir, name))
      .filter((file) => fs.existsSync(file))
      .map((file) => fs.readFileSync(file, 'utf8'))
      .join('');
  }

  // Log lines that tell of a slipway that did not end in order.
  crashes() {
    return this.log().split('\n').filter((line) =>
      /child (signall?ed|died)|child exited: [1-9]|Sanitizer|runtime error:/i.test(line));
  }

  request(options) {
    return request(this.port, options);
  }

  // Ends lighttpd and every slipway it started, by their ids; removes the
  // directory unless keep.
  async stop({ keep = Boolean(process.env.SLIPWAY_KEEP) } = {}) {
    const lighttpd = this.process?.pid;
    if (lighttpd !== undefined && this.process.exitCode === null) {
      const pids = [lighttpd, ...this.workers()];
      this.process.kill('SIGTERM');
      const gone = () => pids.every((pid) => !alive(pid));
      await waitFor('the processes to end', gone, { timeout: 8000 }).catch(() => {
        pids.filter(alive).forEach((pid) => process.kill(pid, 'SIGKILL'));
      });
    }
    if (!keep) fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

// Paths of all regular files below dir, relative to it, sorted.
export function filesBelow(dir) {
  const found = [];
  const walk = (below) => {
    let entries = [];
    try {
      entries = fs.readdirSync(path.join(dir, below), { withFileTypes: true });
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
    for (const entry of entries) {
      const name = path.join(below, entry.name);
      if (entry.isDirectory()) walk(name);
      else found.push(name);
    }
  };
  walk('');
  return found.sort();
}
