// The doctor: on servers set up as the examples say, everything is fine; for
// each line a state in which it is wrong, with the remedy for that server; and
// the command. Every report is looked at for what it must not hold or leave.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { chromium } from 'playwright-core';

import { acceptJson, cgi, command, iniOf } from '../lib/e2e.mjs';
import { json } from '../lib/http.mjs';
import { apiBase, binary, freePort, iniText, root, Server } from '../lib/server.mjs';
import { servers } from '../lib/servers.mjs';
import { SharedHost } from '../lib/shared_host.mjs';
import { waitFor } from '../lib/wait.mjs';

const token = 'Owner-of_this-site-0';
const isRoot = process.getuid() === 0;
const atOnce = { concurrency: 3 };

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-doctor-'));
fs.chmodSync(scratch, 0o755);
test.after(() => fs.rmSync(scratch, { recursive: true, force: true }));

// --- What is asked, and what is wanted ---------------------------------------

// Nobody but the user who runs slipway may read the token.
function keepSecret(ini, dir) {
  const { uid, gid } = fs.statSync(dir);
  if (isRoot) fs.chownSync(ini, uid, gid);
  fs.chmodSync(ini, 0o600);
}

async function serverFor(t, { server, config, ...more }) {
  const running = await Server.start({
    server, config: { ...servers[server].config, 'access.probe_token': token, ...config }, ...more,
  });
  t.after(() => running.stop());
  return running;
}

const inQuotes = (text, site) => `${text}\n${site?.log() ?? ''}`;

const namesIn = (dir) => (fs.existsSync(dir) ? fs.readdirSync(dir) : []);

// The report of the slipway at base, in the form that accept names.
async function report(site, { base = apiBase, accept = 'application/json' } = {}) {
  const uploads = namesIn(site.uploads);
  const answer = await site.request({
    path: `${base}/status?probe=${token}`, headers: [['Accept', accept]], timeout: 60000,
  });
  assert.equal(answer?.status, 200, inQuotes(answer?.body, site));
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(answer.headers.get('referrer-policy'), 'no-referrer');
  assert.ok(!answer.body.includes(token), 'the token is in the report');
  assert.deepEqual(namesIn(site.uploads), uploads, 'a witness stays');
  assert.deepEqual(namesIn(site.data).filter((name) => name.startsWith('reach-')), [],
    'a witness stays');
  return answer;
}

// Throws unless the findings that are not fine are those wanted: by check,
// [what the reason says, what the remedy says], as patterns, for what is
// wrong, and the same with a third member for another verdict.
function finds({ wrong, checks }, wanted, site) {
  const text = inQuotes(checks.map((one) => Object.values(one).join(' | ')).join('\n'), site);
  const ill = checks.filter(({ verdict }) => verdict !== 'fine');
  assert.deepEqual(ill.map(({ check }) => check).sort(), Object.keys(wanted).sort(), text);
  assert.equal(wrong, checks.filter(({ verdict }) => verdict === 'wrong').length);
  for (const { check, verdict, why, remedy } of ill) {
    const [reason, cure, other = 'wrong'] = wanted[check];
    assert.equal(verdict, other, text);
    assert.match(why, reason, check);
    if (cure) assert.match(remedy ?? '', cure, check);
  }
  for (const { check, verdict, remedy } of checks) {
    if (verdict === 'fine') assert.equal(remedy, null, `${check}: nothing to do`);
  }
  assert.equal(new Set(checks.map(({ check }) => check)).size, checks.length, 'a check is there once');
}

// The one line that no configuration of a server can mend.
const always = {
  'apache-fcgid': { streaming: [/gathers uploads/, /mod_fcgid always does that/] },
};

async function diagnosis(site, wanted = {}, options) {
  const found = json(await report(site, options));
  finds(found, { ...always[site.name], ...wanted }, site);
  return found;
}

const finding = ({ checks }, name) => checks.find(({ check }) => check === name);

// Replaces a text that must be there.
function edited(text, ...changes) {
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), `no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

// The example for nginx with changes, as a file.
let copies = 0;
function nginxExample(...changes) {
  const file = path.join(scratch, `nginx-${copies++}.conf`);
  const example = fs.readFileSync(path.join(root, 'nginx-example.conf'), 'utf8');
  fs.writeFileSync(file, edited(example, ...changes));
  return file;
}

// --- As the examples say -----------------------------------------------------

const usual = ['configuration', 'data directory', 'uploads directory', 'file system', 'database',
  'free space', 'clock', 'data on the web', 'settings on the web', 'web server', 'static files',
  'downloads', 'streaming', 'largest body', 'methods', 'content types', 'Authorization'];

test('everything is fine as the examples say', atOnce, async (t) => {
  await Promise.all(Object.keys(servers).map((name) => t.test(servers[name].title, async (it) => {
    const server = await serverFor(it, { server: name });
    const found = await diagnosis(server);
    assert.deepEqual(found.checks.map(({ check }) => check), usual);
    assert.match(finding(found, 'downloads').why, /The web server sends the files/);
    assert.deepEqual(server.crashes(), []);
  })));
});

test('the report in three forms', async (t) => {
  const server = await serverFor(t, { server: 'lighttpd', config: { 'download.offload': 'xaccel', 'download.offload_prefix': '/x' } });
  const text = await report(server, { accept: 'text/plain' });
  const html = await report(server, { accept: 'text/html' });
  const other = await report(server, { accept: 'image/png' });
  assert.equal(text.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.match(text.headers.get('vary'), /Accept/);
  const lines = text.body.toString().trimEnd().split('\n');
  assert.equal(lines.length, usual.length + 1, text.body.toString());
  usual.forEach((check, i) => {
    const line = lines.filter((one) => !one.startsWith(' '))[i];
    assert.match(line, new RegExp(`^(fine |wrong)    ${check.padEnd(20)} \\S`));
  });
  assert.match(text.body.toString(), /^wrong {4}downloads .*\n {30}To do: lighttpd wants/m);
  assert.equal(other.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(html.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.match(html.headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'none'/);
  for (const check of usual) assert.ok(html.body.includes(`<td>${check}</td>`), check);
  assert.match(html.body.toString(), /<td>wrong<\/td><td>downloads<\/td>/);
  assert.ok(!html.body.includes('<script'), 'the browser has nothing to ask');
});

test('nothing in the page is read as markup', async (t) => {
  const state = new Server({ server: 'lighttpd' });
  t.after(() => state.stop());
  fs.writeFileSync(iniOf(state), iniText({
    'access.probe_token': token, 'storage.data': `"${state.dir}/<script>alert('1')<b>&amp;x"`,
  }));
  const { status, body } = await cgi(iniOf(state), {
    path: `/status?probe=${token}`, headers: [['Accept', 'text/html']],
  });
  assert.equal(status, 200, body.toString());
  assert.ok(body.includes('&lt;script&gt;alert('), body.toString());
  assert.ok(body.includes('&lt;b&gt;&amp;amp;x'), body.toString());
  for (const raw of ['<script>alert', "alert('", '<b>&']) assert.ok(!body.includes(raw), raw);
});

// --- Directories, disk and clock ---------------------------------------------

// Does what the remedies of the wrong findings say, in a shell.
function heed({ checks }) {
  for (const { verdict, remedy } of checks) {
    if (verdict === 'wrong') execFileSync('sh', ['-c', remedy]);
  }
}

test('rights that are too wide, and the commands that mend them', async (t) => {
  const server = await serverFor(t, { server: 'lighttpd' });
  fs.chmodSync(server.data, 0o755);
  fs.chmodSync(server.uploads, 0o777);
  fs.chmodSync(iniOf(server), 0o662);
  const found = await diagnosis(server, {
    configuration: [/Everybody on this machine may change .*slipway\.ini/, /^chmod o-w '.*slipway\.ini'$/],
    'data directory': [/Others on this machine may look into .*\(mode 0755\)/, /^chmod 700 '.*\/data'$/],
    'uploads directory': [/may write into .*\(mode 0777\)/, /^chmod o-w '.*\/uploads'$/],
  });
  heed(found);
  await diagnosis(server);
});

test('a data directory of another user', { skip: !isRoot && 'only root can give it away' }, async (t) => {
  const server = await serverFor(t, { server: 'lighttpd' });
  execFileSync('chown', ['-R', 'nobody', server.data]);
  const found = await diagnosis(server, {
    'data directory': [/belongs to user \d+, and slipway runs as user 0/, /^chown -R 0 '.*\/data'$/],
  });
  heed(found);
  await diagnosis(server);
});

test('a disk with less room than is kept back', async (t) => {
  const server = await serverFor(t, { server: 'lighttpd', config: { 'storage.min_free_space': '1E' } });
  await diagnosis(server, {
    'free space': [/\d+ MiB are left .* min_free_space is 1E: uploads are refused/, /lower min_free_space/],
  });
});

test('a clock that was set back', async (t) => {
  const server = await serverFor(t, { server: 'apache-cgi' });
  const put = await server.request({
    method: 'PUT', path: `${apiBase}/upload/a`, headers: [acceptJson], body: 'x',
  });
  assert.equal(put.status, 201);
  // Each request has a process of its own, so slipway is stopped now.
  const shift = (seconds) => execFileSync('sqlite3', ['-cmd', '.timeout 5000', server.database,
    `UPDATE file SET created_at = created_at + ${seconds}000000`]);
  shift(3600);
  await diagnosis(server, { clock: [/younger than the clock shows/, /^Set the clock/] });
  shift(-3600);
  await diagnosis(server);
});

const inMemory = fs.existsSync('/dev/shm') && fs.statfsSync('/dev/shm').type === 0x01021994;

test('a file system in memory', { skip: !inMemory && '/dev/shm is no tmpfs' }, async (t) => {
  const { TMPDIR } = process.env;
  const start = (durability) => {
    process.env.TMPDIR = '/dev/shm'; // for the directory of the server
    try {
      return serverFor(t, { server: 'lighttpd', config: { 'storage.durability': durability } });
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
    }
  };
  await diagnosis(await start('power'), {
    'file system': [/\(tmpfs\) is gone when the machine stops, but .* durability is power/, /on a disk/],
  });
  const found = await diagnosis(await start('process'));
  assert.match(finding(found, 'file system').why, /\(tmpfs\)/);
});

test('the journal, and why it is not a log', async (t) => {
  const library = path.join(scratch, 'nfs.so');
  const bin = path.join(scratch, 'slipway');
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, path.join(root, 'tests/lib/nfs.c')]);
  fs.writeFileSync(bin, `#!/bin/sh\nLD_PRELOAD=${library} exec ${path.resolve(binary)} "$@"\n`, { mode: 0o755 });
  const local = json(await report(await serverFor(t, { server: 'lighttpd' })));
  assert.match(finding(local, 'database').why, /with a write-ahead log/);
  const network = await diagnosis(await serverFor(t, { server: 'lighttpd', bin }));
  assert.match(finding(network, 'database').why,
    /with a rollback journal: the file system may be a network's/);
});

// --- What a web server can get wrong -----------------------------------------

// How much a body may have, within what the doctor can tell.
const about = (kib) => {
  const [low, high] = [kib - 4, kib + 1].map(String);
  const all = Array.from({ length: high - low + 1 }, (_, i) => Number(low) + i);
  return new RegExp(`^Requests of more than (${all.join('|')}) KiB`);
};

const refused = (...methods) => new RegExp(`do not reach slipway: ${methods.join(', ')}\\.$`);
const interim = [/does not pass on interim answers/, /^Set interim = off/];
const keptAway = /keeps this header field from slipway/;
const lightyOffload = /lighttpd wants offload = xsendfile/;
const apacheOffload = /XSendFilePath.*local-redirect.*none/;
const nginxOffload = /nginx wants offload = xaccel and offload_prefix/;
const notServed = (status) => new RegExp(`does not serve the uploads directory at /_upload/: the answer is ${status}`);
const unsafe = [/without the header fields for files of strangers/, /example configuration/];

const faults = {
  'lighttpd, bodies gathered and small': {
    server: 'lighttpd',
    extra: '$HTTP["url"] =~ "^/slipway/" { server.stream-request-body = 0 server.max-request-size = 300 }',
    wrong: {
      streaming: [/gathers uploads/, /^Set server\.stream-request-body = 1\.$/],
      'largest body': [about(300), /server\.max-request-size/],
    },
  },
  'lighttpd, requests refused': {
    server: 'lighttpd',
    extra: `$HTTP["request-method"] =~ "^(PUT|PATCH)$" { fastcgi.server = () }
      $REQUEST_HEADER["Content-Type"] == "application/octet-stream" { fastcgi.server = () }
      $HTTP["url"] =~ "^/_upload/" { alias.url = () }
      $HTTP["url"] =~ "^/slipway/s" { setenv.set-request-header = ( "Authorization" => "" ) }`,
    wrong: {
      methods: [refused('PUT', 'PATCH'), /override methods/],
      'content types': [/do not reach slipway: application\/octet-stream\.$/, /mod_security/],
      'static files': [notServed(404), /^Serve .*\/uploads there, or correct \[uploads\] url/],
      Authorization: [keptAway, /HTTP_AUTHORIZATION/],
    },
  },
  'lighttpd, files handed over as nginx wants it, and without header fields': {
    server: 'lighttpd',
    config: { 'download.offload': 'xaccel', 'download.offload_prefix': '/_slipway' },
    extra: '$HTTP["url"] =~ "^/_upload/." { setenv.set-response-header = ( "X-Robots-Tag" => "noindex" ) }',
    wrong: {
      downloads: [/does not arrive .* the answer is 200, but the file is not in it/, lightyOffload],
      'static files': unsafe,
    },
  },
  'lighttpd, with only one of the header fields': {
    server: 'lighttpd',
    extra: '$HTTP["url"] =~ "^/_upload/." { setenv.set-response-header = ( "X-Content-Type-Options" => "nosniff" ) }',
    wrong: { 'static files': unsafe },
  },
  'lighttpd, names behind the name of a file': {
    server: 'lighttpd',
    extra: '$HTTP["url"] =~ "^/_upload/." { static-file.disable-pathinfo = "disable" }',
    wrong: { 'static files': [/each FILE under FILE\/page\.pdf/, /disable-pathinfo/] },
  },
  'lighttpd, interim answers': { server: 'lighttpd', config: { 'upload.interim': 'on' }, wrong: {} },
  'nginx, bodies gathered and small': {
    server: 'nginx',
    example: [['fastcgi_request_buffering off;', ''], ['client_max_body_size 0;', 'client_max_body_size 1m;']],
    wrong: {
      streaming: [/gathers uploads/, /^Set fastcgi_request_buffering off\.$/],
      'largest body': [about(1024), /^Set client_max_body_size 0\.$/],
    },
  },
  'nginx, requests refused': {
    server: 'nginx',
    config: { 'download.offload_prefix': '/_elsewhere' },
    example: [['fastcgi_pass slipway;', `fastcgi_pass slipway;
      limit_except GET POST { deny all; }
      if ($http_x_http_method_override) { return 403; }
      if ($content_type = application/partial-upload) { return 415; }
      fastcgi_param HTTP_AUTHORIZATION "" if_not_empty;`],
    ['location ^~ /_upload/ {', 'location ^~ /_elsewhat/ {']],
    wrong: {
      methods: [refused('PUT', 'PATCH', 'DELETE', 'OPTIONS'), /upload by forms alone/],
      'content types': [/do not reach slipway: application\/partial-upload\.$/, /mod_security/],
      'static files': [notServed(404), /^Serve /],
      Authorization: [keptAway, /HTTP_AUTHORIZATION/],
      downloads: [/does not arrive/, nginxOffload],
    },
  },
  'nginx, interim answers and files without header fields': {
    server: 'nginx',
    config: { 'upload.interim': 'on', 'download.offload': 'xsendfile', 'download.offload_prefix': '' },
    example: [['add_header X-Content-Type-Options nosniff always;', '']],
    wrong: { 'interim answers': interim, 'static files': unsafe, downloads: [/file is not in it/, nginxOffload] },
  },
  'mod_fcgid with its own limit': {
    server: 'apache-fcgid',
    extra: 'FcgidMaxRequestLen 131072\n<Location "/slipway">\nXSendFile Off\n</Location>',
    wrong: {
      'largest body': [about(128), /FcgidMaxRequestLen.*smaller pieces/],
      downloads: [/file is not in it/, apacheOffload],
    },
  },
  'mod_cgid, a limit and a signature kept away': {
    server: 'apache-cgi',
    config: { 'download.offload_prefix': '/_nowhere' },
    extra: '<Location "/slipway">\nLimitRequestBody 409600\nCGIPassAuth Off\n</Location>\n'
      + '<Location "/_upload">\nHeader always unset X-Content-Type-Options\nHeader unset X-Content-Type-Options\n</Location>',
    wrong: {
      'largest body': [about(400), /LimitRequestBody/],
      Authorization: [keptAway, /^Set CGIPassAuth On/],
      'static files': unsafe,
      downloads: [/does not arrive .* the answer is 404/, apacheOffload],
    },
  },
  'mod_proxy_fcgi, requests refused': {
    server: 'apache-proxy',
    config: { 'upload.interim': 'on' },
    extra: `LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so
      RewriteEngine On
      RewriteCond %{REQUEST_METHOD} ^(PATCH|DELETE)$
      RewriteRule ^ - [F]
      RewriteCond %{HTTP:Content-Type} octet-stream
      RewriteRule ^ - [F]
      RewriteRule ^/_upload/ - [R=404]`,
    wrong: {
      methods: [refused('PATCH', 'DELETE'), /upload by forms alone/],
      'content types': [/slipway: application\/octet-stream, application\/offset\+octet-stream\.$/, /mod_security/],
      'static files': [notServed(404), /^Serve /],
      'interim answers': interim,
    },
  },
};

test('what a web server can get wrong', atOnce, async (t) => {
  await Promise.all(Object.entries(faults).map(([what, { wrong, example, ...options }]) => (
    t.test(what, async (it) => {
      const server = await serverFor(it, {
        ...options, ...example && { example: nginxExample(...example) },
      });
      const found = await diagnosis(server, wrong);
      if (options.config?.['upload.interim'] && !wrong['interim answers']) {
        assert.equal(finding(found, 'interim answers').verdict, 'fine');
      }
      assert.deepEqual(server.crashes(), []);
    }))));
});

// --- What the web can read ---------------------------------------------------

// The directory of the server as document root; what matches bars, besides.
const belowRoot = {
  lighttpd: (bars) => ({
    extra: `server.document-root := var.slipway_uploads + "/.."
      server.modules += ( "mod_access" )
      $HTTP["url"] =~ "^/(${bars})" { url.access-deny = ( "" ) }`,
  }),
  'apache-cgi': (bars) => ({
    extra: `DocumentRoot "\${SLIPWAY_UPLOADS}/.."
      <Directory "\${SLIPWAY_UPLOADS}/..">\nRequire all granted\n</Directory>
      <LocationMatch "^/(${bars})">\nRequire all denied\n</LocationMatch>`,
  }),
  nginx: (bars) => ({
    example: nginxExample(['DOCUMENT_ROOT $document_root', 'DOCUMENT_ROOT "$slipway_uploads/.."']),
    extra: `location ~ ^/(${bars}) { return 403; }
      location ~ ^/(data|open|slipway\\.ini) { root $slipway_uploads/..; }`,
  }),
};

// Other settings for a server that runs; ready tells when they are in force.
async function configure(server, config, ready) {
  fs.writeFileSync(iniOf(server), iniText(config));
  server.workers().forEach((pid) => {
    try {
      process.kill(pid);
    } catch { /* it has ended */ }
  });
  await waitFor('the settings', ready, { timeout: 15000 });
}

test('what is below the document root', atOnce, async (t) => {
  await Promise.all(Object.keys(belowRoot).map((name) => t.test(name, async (it) => {
    const [closed, half] = await Promise.all(['data/|slipway[.]ini$', 'data/'].map((bars) => (
      serverFor(it, { server: name, ...belowRoot[name](bars) }))));
    const found = await diagnosis(closed);
    for (const check of ['data on the web', 'settings on the web']) {
      assert.match(finding(found, check).why, /is below the document root, and the web server refuses to show it/);
    }
    const settings = [/The web can read .*slipway\.ini\./, /move the file.* then change probe_token/];
    await diagnosis(half, { 'settings on the web': settings });

    // Data that the web can read: all else is refused, but not this page.
    const config = {
      'storage.durability': 'process', 'uploads.directory': half.uploads,
      ...servers[name].config, 'access.probe_token': token,
    };
    const status = async () => (await half.request({ path: `${apiBase}/status` }))?.status;
    await configure(half, { ...config, 'storage.data': path.join(half.dir, 'open') },
      async () => await status() === 503);
    await diagnosis(half, {
      'settings on the web': settings,
      'data on the web': [/The web can read .*\/open\./, /directory outside of the document root/],
    });
    assert.equal(await status(), 503, 'that opens nothing');
    assert.deepEqual(namesIn(path.join(half.dir, 'open')).filter((one) => one.startsWith('reach-')), []);
    const wrongToken = await half.request({ path: `${apiBase}/status?probe=${token}x` });
    assert.equal(wrongToken.status, 503);
    await configure(half, { ...config, 'storage.data': half.data }, async () => await status() === 200);
    await diagnosis(half, { 'settings on the web': settings });
  })));
});

test('what a proxy in front lets through is not known', async (t) => {
  const server = await serverFor(t, { server: 'lighttpd' });
  for (const field of ['Via', 'Forwarded', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Real-IP']) {
    const path = `${apiBase}/status?probe=${token}`;
    const headers = [[field, 'x'], acceptJson];
    finds(json(await server.request({ path, headers })),
      { 'web server': [/A proxy is in front/, /in a browser/, 'unknown'] }, server);
    const page = await server.request({ path, headers: [[field, 'x'], ['Accept', 'text/html']] });
    assert.match(page.body.toString(), /<script type="module"/);
  }
});

test('a token that others can read', async (t) => {
  const server = await serverFor(t, { server: 'lighttpd' });
  fs.chmodSync(iniOf(server), 0o644);
  await diagnosis(server, { configuration: [/may read the probe_token in .*slipway\.ini\.$/, /^chmod 600 '/] });
  fs.chmodSync(iniOf(server), 0o640);
  await diagnosis(server);
});

// --- Shared hosting ----------------------------------------------------------

const hostIni = `[access]\nprobe_token = ${token}\n`;

async function hostFor(t, options) {
  const host = await SharedHost.start({ ini: hostIni, ...options });
  t.after(() => host.stop());
  keepSecret(path.join(host.site, 'slipway.ini'), host.site);
  return host;
}

const bases = ['/slipway', '/slipway/slipway.cgi'];

test('on shared hosting everything is fine', async (t) => {
  const host = await hostFor(t);
  for (const base of bases) {
    const found = await diagnosis(host, {}, { base });
    assert.match(finding(found, 'data on the web').why, /is below the document root, and the web server refuses/);
    assert.match(finding(found, 'settings on the web').why, /is below the document root, and the web server refuses/);
  }
});

test('without .htaccess the web can read all, and the page says so', async (t) => {
  const host = await hostFor(t, {
    plain: true,
    extra: '<DirectoryMatch "/slipway/data(/|$)">\nAllowOverride None\nRequire all granted\n</DirectoryMatch>\n'
      + '<Files "slipway.cgi">\nOptions +ExecCGI\nSetHandler cgi-script\n</Files>',
  });
  fs.rmSync(path.join(host.site, '.htaccess'));
  const [, base] = bases;
  assert.equal((await host.request({ path: `${base}/status` })).status, 503);
  const found = json(await report(host, { base }));
  assert.match(finding(found, 'data on the web').why, /The web can read .*\/data\./);
  assert.match(finding(found, 'settings on the web').remedy, /^Take the \.htaccess that comes with slipway/);
  for (const check of ['data on the web', 'settings on the web']) {
    assert.equal(finding(found, check).verdict, 'wrong');
  }
});

// A virtual host on port, with a certificate of its own.
function tlsSite(port) {
  const [key, certificate] = ['key', 'certificate'].map((name) => path.join(scratch, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  fs.chmodSync(key, 0o644);
  return ['LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so', 'SSLSessionCache none',
    `Listen 127.0.0.1:${port}`, `<VirtualHost 127.0.0.1:${port}>`, 'SSLEngine on',
    `SSLCertificateFile ${certificate}`, `SSLCertificateKeyFile ${key}`, '</VirtualHost>',
  ].join('\n');
}

const overTls = (port, target, headers) => new Promise((resolve, reject) => {
  https.get({
    host: '127.0.0.1', port, path: target, rejectUnauthorized: false,
    headers: Object.fromEntries(headers),
  }, (answer) => {
    const body = [];
    answer.on('data', (data) => body.push(data));
    answer.on('end', () => resolve({
      status: answer.statusCode, headers: new Map(Object.entries(answer.headers)), body: Buffer.concat(body),
    }));
  }).on('error', reject);
});

test('on a TLS site what cannot be asked is unknown, and what is vouched for fine', async (t) => {
  const port = await freePort();
  const host = await hostFor(t, { extra: tlsSite(port) });
  const site = {
    data: host.data, uploads: host.uploads, log: () => host.log(),
    request: ({ path: target, headers }) => overTls(port, target, headers),
  };
  const { checks, wrong } = json(await report(site, { base: '/slipway' }));
  const text = JSON.stringify(checks, null, 1);
  assert.equal(wrong, 0, text);
  const verdicts = Object.fromEntries(checks.map(({ check, verdict }) => [check, verdict]));
  assert.equal(verdicts['data on the web'], 'fine', text);
  assert.equal(verdicts['web server'], 'unknown', text);
  const page = await report(site, { base: '/slipway', accept: 'text/html' });
  const [, nonce] = /<script type="module" nonce="([a-z2-7]{26})">/.exec(page.body.toString());
  assert.ok(page.headers.get('content-security-policy').includes(`script-src 'nonce-${nonce}'`));
});

// What the owner's browser adds to the page of a TLS site, by check.
async function inBrowser(t, port) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'],
  });
  t.after(() => browser.close());
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.goto(`https://127.0.0.1:${port}/slipway/status?probe=${token}`);
  await page.getByText('Your browser has asked').waitFor({ timeout: 30000 });
  const rows = await page.locator('tr:has(td)').evaluateAll((list) => list
    .map((row) => [...row.cells].map((cell) => cell.textContent)));
  return Object.fromEntries(rows.map(([verdict, check, why, remedy]) => [check, { verdict, why, remedy }]));
}

test('on a TLS site the browser asks', async (t) => {
  const port = await freePort();
  const host = await hostFor(t, { extra: tlsSite(port) });
  const found = await inBrowser(t, port);
  const text = JSON.stringify(found, null, 1);
  for (const check of ['data on the web', 'settings on the web', 'static files', 'downloads', 'largest body',
    'methods', 'content types', 'Authorization']) {
    assert.equal(found[check]?.verdict, 'fine', `${check} ${text}`);
  }
  assert.ok(Object.values(found).every(({ verdict }) => verdict !== 'wrong'), text);
  const left = [host.data, host.uploads].flatMap((dir) => fs.readdirSync(dir, { recursive: true }));
  assert.deepEqual(left.filter((name) => name.includes('reach-')), []);
});

test('on a TLS site the browser finds what is wrong', async (t) => {
  const port = await freePort();
  const closed = `RewriteEngine On
    RewriteCond %{REQUEST_METHOD} ^(PATCH|DELETE)$
    RewriteRule ^ - [F]
    RewriteCond %{HTTP:Content-Type} ^application/
    RewriteRule ^ - [F]
    RequestHeader unset Authorization
    RewriteRule ^/slipway/uploads - [F]
    </VirtualHost>`;
  await hostFor(t, { extra: tlsSite(port).replace('</VirtualHost>', closed) });
  const found = await inBrowser(t, port);
  const text = JSON.stringify(found, null, 1);
  for (const [check, why, remedy] of [
    ['static files', /not at .*: 403/, /Serve it there/],
    ['methods', /: PATCH, DELETE\.$/, /by forms alone/],
    ['content types', /: application\/octet-stream, /, /by forms alone/],
    ['Authorization', /keeps this header field/, /CGIPassAuth/],
  ]) {
    assert.equal(found[check]?.verdict, 'wrong', `${check} ${text}`);
    assert.match(found[check].why, why);
    assert.match(found[check].remedy, remedy);
  }
  assert.equal(found['largest body'].verdict, 'fine', text);
});

// --- The command -------------------------------------------------------------

const doctor = (ini, ...more) => command('doctor', '--config', ini, ...more);
const urlOf = (server) => `http://127.0.0.1:${server.port}${apiBase}`;

test('the command says the same as the page', async (t) => {
  const server = await serverFor(t, { server: 'lighttpd' });
  const numbers = (text) => text.replace(/\d+ MiB are free/, 'N MiB are free');
  const page = async () => numbers((await report(server, { accept: 'text/plain' })).body.toString());
  const fine = await doctor(iniOf(server), '--url', urlOf(server));
  assert.deepEqual([fine.code, fine.stderr], [0, '']);
  assert.equal(numbers(fine.stdout), await page());
  assert.equal((await doctor(iniOf(server), '--url', `${urlOf(server)}/`)).code, 0, 'a slash at the end');
  fs.chmodSync(server.data, 0o750);
  const ill = await doctor(iniOf(server), '--url', urlOf(server));
  assert.deepEqual([ill.code, ill.stderr], [1, '']);
  assert.match(ill.stdout, /^wrong {4}data directory/m);
  assert.equal(numbers(ill.stdout), await page());
  const here = await doctor(iniOf(server));
  assert.deepEqual([here.code, here.stderr], [1, '']);
  assert.match(here.stdout, /^wrong {4}data directory/m);
  assert.match(here.stdout, /^unknown {2}web server .*cannot be seen from here/m);
  fs.chmodSync(server.data, 0o700);
  assert.equal((await doctor(iniOf(server))).code, 0, 'what is unknown is not wrong');
  assert.ok(!here.stdout.includes(token) && !ill.stdout.includes(token));

  const another = path.join(scratch, 'another.ini');
  fs.writeFileSync(another, iniText({ 'access.probe_token': `${token}-2` }));
  const refusal = await doctor(another, '--url', urlOf(server));
  assert.equal(refusal.code, 1);
  assert.match(refusal.stderr, /probe_token/);
});

test('the command with another web server at the URL', async (t) => {
  const ini = path.join(scratch, 'alone.ini');
  fs.writeFileSync(ini, iniText({ 'access.probe_token': token }));
  const ask = async (status, body, type) => {
    const stranger = http.createServer((req, res) => {
      res.writeHead(status, { 'Content-Type': type });
      res.end(body);
    });
    await new Promise((resolve) => { stranger.listen(0, '127.0.0.1', resolve); });
    t.after(() => stranger.close());
    return doctor(ini, '--url', `http://localhost:${stranger.address().port}/slipway`);
  };
  for (const [head, body, code] of [[404, 'fine     all\n', 1], [200, 'fine     all\n', 0],
    [200, 'fine     all\nwrong    one\n', 1], [200, 'wrong    one\n', 1], [302, '', 1]]) {
    const answer = await ask(head, body, 'text/plain');
    assert.equal(answer.code, code, `${head} ${body}`);
  }
  const redirected = await ask(301, '<html><h1>Moved</h1></html>', 'text/html');
  assert.match(redirected.stderr, /the answer \(301\) is not slipway's.*curl 'http/s);
  assert.equal(redirected.stdout, '');
  const silent = await doctor(ini, '--url', `http://127.0.0.1:${await freePort()}/slipway`);
  assert.equal(silent.code, 1);
  assert.match(silent.stderr, /no answer/);
});

test('the command and what it is told', async (t) => {
  const state = new Server({ server: 'lighttpd' });
  t.after(() => state.stop());
  const ini = iniOf(state);
  for (const argv of [['x'], ['--url'], ['--config', ini, '--url'], ['--no', 'x']]) {
    const { code, stdout, stderr } = await command('doctor', ...argv);
    assert.deepEqual([code, stdout], [2, ''], argv.join(' '));
    assert.match(stderr, /^usage: slipway doctor/);
  }
  const without = await doctor(ini, '--url', 'http://127.0.0.1:1/slipway');
  assert.deepEqual([without.code, without.stdout], [1, '']);
  const [, line] = /below \[access\] in slipway\.ini.*\n {2}(probe_token = .*)\n$/s.exec(without.stderr);
  fs.appendFileSync(ini, `\n[access]\n${line}\n`);
  const again = await doctor(ini, '--url', 'http://127.0.0.1:1/slipway');
  assert.match(again.stderr, /no answer/, 'the suggestion is a token');
  const tls = await doctor(ini, '--url', 'https://example.org/slipway');
  assert.equal(tls.code, 2);
  assert.ok(tls.stderr.includes(`curl 'https://example.org/slipway/status?probe=${line.slice(14)}'`), tls.stderr);

  fs.writeFileSync(ini, '[storage]\ndatta = x\n');
  const bad = await doctor(ini);
  assert.equal(bad.code, 1);
  assert.match(bad.stdout, /^wrong {4}configuration .*slipway\.ini:2: \[storage\] datta: unknown key/m);
});

const asRoot = { skip: !isRoot && 'only root can become others' };

// Everything below dir with its owner.
const owners = (dir) => execFileSync('find', [dir, '-printf', '%U %p\n'], { encoding: 'utf8' })
  .trimEnd().split('\n').sort();

test('root leaves nothing of its own in the directories of another user', asRoot, async (t) => {
  const state = new Server({ server: 'apache-cgi' });
  t.after(() => state.stop());
  for (const verb of ['doctor', 'gc', 'doctor']) {
    const { code, stdout, stderr } = await command(verb, '--config', iniOf(state));
    assert.equal(code, 0, `${verb}: ${stdout}${stderr}`);
    assert.ok(fs.existsSync(state.database));
    const mine = [state.data, state.uploads].flatMap(owners).filter((line) => line.startsWith('0 '));
    assert.deepEqual(mine, [], verb);
  }
});

test('a command makes no directories', () => {
  const dir = path.join(scratch, 'nobody');
  fs.mkdirSync(dir, { mode: 0o777 });
  fs.chmodSync(dir, 0o777);
  fs.copyFileSync(binary, path.join(dir, 'slipway'));
  const nobody = isRoot ? { uid: 65534, gid: 65534 } : {};
  for (const verb of ['doctor', 'gc']) {
    assert.throws(() => execFileSync(path.join(dir, 'slipway'), [verb], { ...nobody, env: {}, stdio: 'ignore' }));
    assert.deepEqual(fs.readdirSync(dir), ['slipway'], verb);
  }
});

test('root makes no directories', asRoot, async (t) => {
  const state = new Server({ server: 'apache-cgi' });
  t.after(() => state.stop());
  fs.rmdirSync(state.data);
  const before = owners(state.dir);
  for (const verb of ['doctor', 'gc']) {
    const { code, stdout, stderr } = await command(verb, '--config', iniOf(state));
    assert.equal(code, 1, `${verb}: ${stdout}${stderr}`);
    assert.match(stdout + stderr, /data cannot be found: No such file.*as the web server's user/);
    assert.deepEqual(owners(state.dir), before, verb);
  }
});
