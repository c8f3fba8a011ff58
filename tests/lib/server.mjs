// A front server with slipway behind it, from the project's own example
// configuration, in a temporary directory of its own.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { request } from './http.mjs';
import { ended, family, program } from './processes.mjs';
import { configuration, root, searchPath, servers, standard } from './servers.mjs';
import { waitFor } from './wait.mjs';

export { root };
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

// Whom a server runs as: root only where it can be root.
function account({ account: name }) {
  if (!name || process.getuid() !== 0) return {};
  const line = fs.readFileSync('/etc/passwd', 'utf8').split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line.split(':').map(Number);
  return { uid, gid };
}

// A running server. server: its name in lib/servers.mjs; config: ini values
// over the defaults of slipway, except that durability is process, so that the
// tests do not wait for a busy disk; env: more environment; more: names of
// further slipway processes, each at /name, on the same slipway.ini; aliases:
// {path: directory} that the server shows as well; extra: lines of its own
// language after the included configuration. A slipway that was started beside
// the server and ends is started again, as a service manager would.
export class Server {
  #programs = [];
  #crashes = []; // of slipway that was started beside the server
  #failed = null;
  #up = false;

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

  constructor({
    server = standard, config = {}, env = {}, more = [], aliases = {}, extra = '', bin = binary,
    example = '',
  } = {}) {
    this.name = server;
    this.kind = servers[server];
    if (!this.kind) throw new Error(`no server ${server}; there are ${Object.keys(servers)}`);
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-'));
    this.uploads = path.join(this.dir, 'uploads');
    this.data = path.join(this.dir, 'data');
    this.database = path.join(this.data, 'slipway.db');
    this.incoming = path.join(this.data, 'incoming');
    this.options = { env, more, aliases, extra, bin, example };
    this.account = account(this.kind);
    for (const name of ['uploads', 'spool', 'fcgid']) fs.mkdirSync(path.join(this.dir, name));
    fs.mkdirSync(this.data, { mode: 0o700 });
    fs.writeFileSync(path.join(this.dir, 'slipway.ini'), iniText({
      'storage.data': this.data,
      'storage.durability': 'process',
      'uploads.directory': this.uploads,
      ...config,
    }), { mode: 0o600 });
    this.#own();
  }

  // Gives the directories to whom the server runs as.
  #own() {
    const { uid, gid } = this.account;
    if (uid === undefined) return;
    for (const name of ['', 'uploads', 'spool', 'fcgid', 'data', 'slipway.ini']) {
      fs.chownSync(path.join(this.dir, name), uid, gid);
    }
  }

  // Starts one program; its messages go to the log.
  #spawn([file, ...argv]) {
    const out = fs.openSync(path.join(this.dir, 'out.log'), 'a');
    const whom = this.account.uid === undefined ? []
      : [path.join(root, 'scripts/servers/as'), this.kind.account];
    const [first, ...rest] = [...whom, file, ...argv];
    const child = spawn(first, rest, {
      stdio: ['ignore', out, out],
      env: {
        ...process.env, PATH: searchPath, TMPDIR: path.join(this.dir, 'spool'), ...this.options.env,
      },
    });
    fs.closeSync(out);
    child.once('error', (error) => { this.#failed = error; });
    this.#programs.push(child);
    return child;
  }

  #over() {
    return this.#failed || this.#programs.some(({ exitCode }) => exitCode !== null);
  }

  // Starts slipway beside the server, and again whenever it ends.
  #serve(socket) {
    const child = this.#spawn([
      this.options.bin, 'serve', '--socket', socket, '--config', path.join(this.dir, 'slipway.ini')]);
    child.once('exit', (code, signal) => {
      if (!this.#up) return;
      if (code !== 0) this.#crashes.push(`slipway ended: ${signal ?? code}`);
      this.#programs.splice(this.#programs.indexOf(child), 1);
      this.#serve(socket);
    });
  }

  async #launch() {
    const { more, aliases, extra, bin, example } = this.options;
    const at = (name) => path.join(this.dir, name);
    this.port = await freePort();
    fs.writeFileSync(at('server.conf'), configuration(this.name, {
      PORT: this.port, DIR: this.dir, SLIPWAY: bin, INI: at('slipway.ini'),
      UPLOADS: this.uploads, MORE: more.join(' '), EXTRA: extra, EXAMPLE: example,
      ALIASES: Object.entries(aliases).map((entry) => entry.join(' ')).join('\n'),
    }));
    if (this.kind.daemon) {
      const sockets = [at('slipway.sock'), ...more.map((name) => at(`slipway.sock-${name}`))];
      sockets.forEach((socket) => this.#serve(socket));
      await waitFor('slipway', () => this.#over() || sockets.every((socket) => fs.existsSync(socket)))
        .catch(() => {});
    }
    this.process = this.#spawn(this.kind.command(at('server.conf')));
    await waitFor(`${this.name} with slipway`, async () => {
      if (this.#over()) return true;
      const answers = await Promise.all([apiBase, ...more.map((name) => `/${name}`)]
        .map((base) => request(this.port, { path: `${base}/status` })));
      return answers.every((answer) => answer?.status === 200);
    }, { timeout: 15000 }).catch((error) => { this.#failed = error; });
    if (this.#over()) {
      throw new Error(`${this.name} did not start:\n${this.log()}`, { cause: this.#failed });
    }
    this.#up = true;
  }

  // All processes of this server.
  #family() {
    return this.#programs.filter((child) => child.pid && child.exitCode === null)
      .flatMap(({ pid }) => family(pid));
  }

  // The process ids of slipway.
  workers() {
    const [front] = this.kind.command('');
    return this.#family().filter((pid) => ![front, ''].includes(program(pid)));
  }

  // Everything that the server and slipway have logged.
  log() {
    return ['out.log', 'error.log']
      .map((name) => path.join(this.dir, name))
      .filter((file) => fs.existsSync(file))
      .map((file) => fs.readFileSync(file, 'utf8'))
      .join('');
  }

  // Log lines that tell of a slipway that did not end in order.
  crashes() {
    const lines = this.log().split('\n').filter((line) =>
      /child (signall?ed|died)|child exited: [1-9]|Sanitizer|runtime error:/i.test(line)
      || /mod_fcgid: process .*(exit\((communication error|server exited)|get unexpected signal)/.test(line));
    return [...this.#crashes, ...lines];
  }

  request(options) {
    return request(this.port, options);
  }

  // Ends every process that was started, by its id; removes the directory
  // unless keep.
  async stop({ keep = Boolean(process.env.SLIPWAY_KEEP) } = {}) {
    this.#up = false;
    const pids = this.#family();
    for (const child of this.#programs.reverse()) {
      if (child.exitCode === null && child.pid) child.kill('SIGTERM');
    }
    await ended(pids);
    this.#programs = [];
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
