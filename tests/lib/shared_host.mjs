// A web site on shared hosting: an Apache that somebody else runs, a home
// directory, and files that came by FTP. The Apache runs as an ordinary user,
// who is also the site's, as with suEXEC.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { request } from './http.mjs';
import { freePort, root } from './server.mjs';
import { waitFor } from './wait.mjs';

export const cgiBin = path.join(root, 'cgi-bin');
const modules = '/usr/lib/apache2/modules';

// What cgi-bin/.htaccess says it needs.
const overrides = 'FileInfo AuthConfig Options=ExecCGI,Indexes';

const essential = ['mpm_event', 'authz_core', 'dir', 'alias'];
const underFirewall = ['unique_id'];
const usual = ['mime', 'env', 'setenvif', 'headers', 'rewrite', 'include', 'autoindex'];

// OWASP's core rules in ModSecurity, as Debian recommends them. scripts/setup
// has unpacked both, unless they are installed.
function firewallIn(dir) {
  const from = [path.join(root, 'build/tools'), '/']
    .find((base) => ['usr/share/modsecurity-crs/rules', `${modules}/mod_security2.so`]
      .every((needed) => fs.existsSync(path.join(base, needed))));
  if (!from) throw new Error('no ModSecurity: run scripts/setup test');
  const to = path.join(dir, 'modsecurity');
  fs.cpSync(path.join(from, 'etc/modsecurity'), to, { recursive: true });
  fs.cpSync(path.join(from, 'usr/share/modsecurity-crs/rules'), path.join(to, 'rules'), { recursive: true });
  const recommended = fs.readFileSync(path.join(to, 'modsecurity.conf-recommended'), 'utf8');
  fs.writeFileSync(path.join(to, 'modsecurity.conf'), recommended
    .replace(/^SecRuleEngine .*$/m, 'SecRuleEngine On')
    .replace(/^SecAuditLog .*$/m, `SecAuditLog ${to}/audit.log`)
    .replace(/^(SecTmpDir|SecDataDir) .*$/mg, `$1 ${dir}`));
  return [
    `LoadModule security2_module ${path.join(from, modules, 'mod_security2.so')}`,
    `Include ${to}/modsecurity.conf`, `Include ${to}/crs/crs-setup.conf`, `Include ${to}/rules/*.conf`,
  ].join('\n');
}

// The user that Apache and the site run as: ourselves, unless we are root.
const user = process.getuid() === 0
  ? { uid: Number(execFileSync('id', ['-u', 'www-data'])), gid: Number(execFileSync('id', ['-g', 'www-data'])) }
  : {};

export class SharedHost {
  // programs: the names slipway is uploaded under; their modules are loaded
  // unless handlers says otherwise. extra: lines of the host's configuration;
  // plain: a host with no module that it could do without; without: modules
  // that it does not have; firewall: whether it has one.
  static async start(options = {}) {
    const host = new SharedHost(options);
    try {
      await host.#launch(options);
    } catch (error) {
      await host.stop();
      throw error;
    }
    return host;
  }

  constructor({ programs = ['slipway.cgi'], ini } = {}) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-host-'));
    this.home = path.join(this.dir, 'home');
    this.docroot = path.join(this.home, 'public_html');
    this.site = path.join(this.docroot, 'slipway');
    this.uploads = path.join(this.site, 'uploads');
    this.data = path.join(this.site, 'data');
    fs.chmodSync(this.dir, 0o755);
    fs.mkdirSync(this.site, { recursive: true });
    for (const name of programs) this.put(path.join(cgiBin, name), name);
    this.put(path.join(cgiBin, '.htaccess'), '.htaccess');
    this.put(path.join(cgiBin, 'slipway.ini'), 'slipway.ini');
    if (ini !== undefined) this.write('slipway.ini', ini);
    this.own();
  }

  // Uploads a file by name and rename.
  put(from, name, mode = name.endsWith('cgi') ? 0o755 : 0o644) {
    const to = path.join(this.site, name);
    fs.copyFileSync(from, `${to}.part`);
    fs.chmodSync(`${to}.part`, mode);
    if (user.uid) fs.chownSync(`${to}.part`, user.uid, user.gid);
    fs.renameSync(`${to}.part`, to);
  }

  // The same from a text. The time stamp is old, so that it counts at once.
  write(name, text, mode = 0o644) {
    const to = path.join(this.site, name);
    fs.writeFileSync(`${to}.part`, text, { mode });
    const then = new Date(Date.now() - 60000);
    fs.utimesSync(`${to}.part`, then, then);
    if (user.uid) fs.chownSync(`${to}.part`, user.uid, user.gid);
    fs.renameSync(`${to}.part`, to);
  }

  // All that is there belongs to the user.
  own() {
    if (user.uid) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, this.dir]);
  }

  async #launch({
    programs = ['slipway.cgi'], handlers, plain = false, without = [], extra = '', firewall = false,
  }) {
    const wanted = handlers ?? programs.map((name) => (name.endsWith('.fcgi') ? 'fcgid' : 'cgid'));
    const at = (name) => path.join(this.dir, name);
    this.port = await freePort();
    fs.writeFileSync(at('httpd.conf'), [
      ...[...essential, ...(plain ? [] : usual), ...(firewall ? underFirewall : []), ...wanted]
        .filter((name) => !without.includes(name))
        .map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`),
      `ServerRoot ${this.dir}`, `PidFile ${at('pid')}`, `DefaultRuntimeDir ${this.dir}`,
      `Mutex file:${this.dir}`, `ErrorLog ${at('error.log')}`, `Listen 127.0.0.1:${this.port}`,
      `ServerName localhost`, `DocumentRoot ${this.docroot}`,
      'StartServers 1', 'MaxRequestWorkers 75', 'LogLevel info',
      wanted.includes('cgid') ? `ScriptSock ${at('cgisock')}` : '',
      wanted.includes('fcgid') ? `FcgidIPCDir ${at('fcgid')}\nFcgidProcessTableFile ${at('shm')}` : '',
      plain ? '' : 'TypesConfig /dev/null',
      '<Directory />', 'AllowOverride None', 'Require all denied', '</Directory>',
      `<Directory ${this.docroot}>`, `AllowOverride ${overrides}`, 'Require all granted',
      'Options FollowSymLinks Indexes', '</Directory>', firewall ? firewallIn(this.dir) : '', extra, '',
    ].join('\n'));
    this.own();
    const out = fs.openSync(at('apache.out'), 'a');
    this.process = spawn('/usr/sbin/apache2', ['-DFOREGROUND', '-f', at('httpd.conf')], {
      stdio: ['ignore', out, out], cwd: '/', ...user,
      env: { PATH: '/usr/bin:/bin', TMPDIR: this.dir, LANG: 'C' },
    });
    fs.closeSync(out);
    await waitFor('Apache', () => (
      this.process.exitCode !== null || request(this.port, { path: '/nothing-here' })
    ), { timeout: 10000 });
    if (this.process.exitCode !== null) throw new Error(`Apache did not start:\n${this.log()}`);
  }

  request(options) {
    const headers = [['Host', `localhost:${this.port}`], ...options.headers ?? []];
    return request(this.port, { timeout: 30000, ...options, headers });
  }

  log() {
    return ['apache.out', 'error.log'].map((name) => path.join(this.dir, name))
      .filter((file) => fs.existsSync(file))
      .map((file) => fs.readFileSync(file, 'utf8')).join('');
  }

  // Process ids of slipways that run under this name from this site, newest
  // binary or not.
  processes(name) {
    const file = path.join(this.site, name);
    return fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
      try {
        return fs.readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '') === file;
      } catch {
        return false;
      }
    }).map(Number);
  }

  async stop({ keep = Boolean(process.env.SLIPWAY_KEEP) } = {}) {
    if (this.process && this.process.exitCode === null) {
      const ended = new Promise((resolve) => { this.process.once('exit', resolve); });
      this.process.kill('SIGTERM');
      const timer = setTimeout(() => this.process.kill('SIGKILL'), 15000);
      await ended;
      clearTimeout(timer);
    }
    if (!keep) fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
