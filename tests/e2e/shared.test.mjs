// The static binary, and slipway as the owner of a site on shared hosting
// installs it: three files by FTP, nothing configured, a real Apache.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { acceptJson, multipart, sha256 } from '../lib/e2e.mjs';
import { json, request } from '../lib/http.mjs';
import { freePort } from '../lib/server.mjs';
import { cgiBin, SharedHost } from '../lib/shared_host.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const binary = path.join(cgiBin, 'slipway.cgi');
const html = ['Accept', 'text/html'];

async function hostFor(t, options) {
  const host = await SharedHost.start(options);
  t.after(() => host.stop());
  return host;
}

// --- The static binary -------------------------------------------------------

test('the binary is one file under 4 MiB that needs no other', () => {
  const bytes = fs.readFileSync(binary);
  assert.ok(bytes.length < 4 << 20, `${bytes.length} bytes`);
  const [at, size, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(54), bytes.readUInt16LE(56)];
  const types = Array.from({ length: count }, (_, i) => bytes.readUInt32LE(at + i * size));
  assert.ok(!types.includes(3), 'it names an interpreter, so it is not static');
  assert.equal(bytes.readUInt16LE(60) > 0 && bytes.includes('.debug_info'), false, 'it is stripped');
});

// How this machine lets us change the root directory, or why not.
function chroot(dir, command, options) {
  const argv = process.getuid() === 0
    ? ['chroot', dir, command] : ['unshare', '-r', 'chroot', dir, command];
  return spawnSync(argv[0], argv.slice(1), {
    ...options, timeout: 20000, env: { ...options.env, PATH: process.env.PATH },
  });
}

test('the binary runs as CGI in an empty root directory', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-chroot-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  fs.copyFileSync(binary, path.join(dir, 'slipway.cgi'));
  fs.chmodSync(path.join(dir, 'slipway.cgi'), 0o755);
  if (spawnSync('unshare', ['-r', 'true']).status !== 0 && process.getuid() !== 0) {
    t.skip('neither root nor user namespaces here');
    return;
  }
  const run = (method, target, body = '') => {
    const child = chroot(dir, '/slipway.cgi', {
      input: body,
      env: {
        GATEWAY_INTERFACE: 'CGI/1.1', REQUEST_METHOD: method, SCRIPT_NAME: '/slipway.cgi',
        PATH_INFO: target, QUERY_STRING: '', HTTP_ACCEPT: 'application/json',
        CONTENT_LENGTH: String(body.length),
      },
    });
    return child.stdout.toString();
  };
  assert.match(run('GET', '/status'), /^Status: 200/);
  const answer = run('PUT', '/upload/a.txt', 'hello');
  assert.match(answer, /^Status: 201/);
  const [{ id }] = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))).files;
  assert.match(run('GET', `/download/${id}`), /\r\n\r\nhello$/);
  assert.deepEqual(fs.readdirSync(dir).sort(), ['data', 'slipway.cgi', 'uploads']);
});

// --- Three files by FTP ------------------------------------------------------

// What every way to run it must do, below one URL.
async function works(host, base) {
  const status = await host.request({ path: `${base}/status`, headers: [acceptJson] });
  assert.equal(status.status, 200, `${status.body}\n${host.log()}`);
  const data = crypto.randomBytes(100000);
  const form = multipart([{ name: 'file', filename: 'näh & so.bin', data }, { name: 'k', value: 'v' }]);
  const posted = await host.request({
    method: 'POST', path: `${base}/upload`, body: form.body,
    headers: [acceptJson, ['Content-Type', form.type]],
  });
  assert.equal(posted.status, 201, `${posted.body}`);
  const [file] = json(posted).files;
  assert.equal(file.sha256, sha256(data));
  assert.match(file.url, /^\/slipway\/uploads\/[a-z2-7]{26}\//, 'no url is configured');
  const direct = await host.request({ path: file.url });
  assert.equal(direct.status, 200);
  assert.ok(direct.body.equals(data));
  assert.equal(direct.headers.get('content-disposition'), 'attachment');
  assert.equal(direct.headers.get('x-content-type-options'), 'nosniff');
  assert.match(direct.headers.get('content-security-policy'), /^sandbox;/);
  const down = await host.request({ path: file.download });
  assert.equal(down.status, 200, `${file.download}: ${down.body.subarray(0, 200)}`);
  assert.ok(down.body.equals(data));
  assert.equal(down.headers.get('content-length'), '100000', 'the length is kept');
  const part = await host.request({ path: file.download, headers: [['Range', 'bytes=10-19']] });
  assert.equal(part.status, 206);
  assert.ok(part.body.equals(data.subarray(10, 20)));
  for (const name of ['a b%c.txt', 'a%41b', 'what?.txt', 'a&b;c=d+e#f', '100%', 'ü $1 %{x}']) {
    const put = await host.request({
      method: 'PUT', path: `${base}/upload/${encodeURIComponent(name)}`, headers: [acceptJson], body: 'x',
    });
    assert.equal(put.status, 201, `${name}: ${put.body}`);
    const [stored] = json(put).files;
    assert.equal(stored.name, name.replace('?', '_'));
    for (const url of [stored.url, stored.download]) {
      assert.equal((await host.request({ path: url })).body.toString(), 'x', url);
    }
  }
  const query = await host.request({
    method: 'POST', path: `${base}/upload?filename=q%26r.txt`, body: 'y',
    headers: [acceptJson, ['Content-Type', 'text/plain']],
  });
  assert.equal(json(query).files[0].name, 'q&r.txt');
}

for (const [name, programs, base] of [
  ['CGI', ['slipway.cgi'], '/slipway/slipway.cgi'],
  ['CGI with nice URLs', ['slipway.cgi'], '/slipway'],
  ['FastCGI', ['slipway.fcgi'], '/slipway/slipway.fcgi'],
  ['FastCGI with nice URLs', ['slipway.fcgi'], '/slipway'],
]) {
  test(`three files by FTP, ${name}`, async (t) => {
    const host = await hostFor(t, { programs });
    await works(host, base);
    const names = fs.readdirSync(host.data);
    const left = [...names, ...fs.readdirSync(host.uploads, { recursive: true })]
      .filter((entry) => entry.includes('reach-'));
    assert.deepEqual(left, [], 'no token stays');
    assert.ok(names.includes('.htaccess'));
  });
}

for (const program of ['slipway.cgi', 'slipway.fcgi']) {
  test(`the first page has a form that works, ${program}`, async (t) => {
    const host = await hostFor(t, { programs: [program] });
    const page = await host.request({ path: '/slipway/' });
    assert.equal(page.status, 200, page.body.toString());
    const [, action] = /action="([^"]+)"/.exec(page.body.toString());
    const { type, body } = multipart([{ name: 'file', filename: 'a b.txt', data: 'hello' }]);
    const answer = await host.request({
      method: 'POST', path: action, body, headers: [['Content-Type', type], ['Accept', 'text/html']],
    });
    assert.equal(answer.status, 201);
    const [, link] = /<li><a href="([^"]+)"/.exec(answer.body.toString());
    assert.equal((await host.request({ path: link })).body.toString(), 'hello');
  });
}

test('large uploads go through CGI where FastCGI refuses them', async (t) => {
  const host = await hostFor(t, { programs: ['slipway.cgi', 'slipway.fcgi'] });
  const body = crypto.randomBytes(3 << 20);
  const put = (base) => host.request({
    method: 'PUT', path: `${base}/upload/big.bin`, headers: [acceptJson], body,
  });
  const refused = await put('/slipway/slipway.fcgi');
  assert.equal(refused.status, 500);
  assert.match(refused.body.toString(), /use slipway\.cgi/);
  const stored = await put('/slipway');
  assert.equal(stored.status, 201, stored.body.toString());
  assert.equal(json(stored).files[0].sha256, sha256(body));
});

test('without the ini file the defaults do', async (t) => {
  const host = await hostFor(t);
  fs.rmSync(path.join(host.site, 'slipway.ini'));
  await works(host, '/slipway');
});

// --- What the web gets to see ------------------------------------------------

const secrets = ['slipway.ini', 'slipway.ini~', 'slipway.cgi.new', 'slipway.fcgi.part', 'slipway.db',
  'data/slipway.db', 'data/incoming/', 'data/', 'data', 'uploads/'];

test('settings, data, copies and lists are closed', async (t) => {
  const host = await hostFor(t, { programs: ['slipway.cgi', 'slipway.fcgi'] });
  await works(host, '/slipway');
  for (const name of ['slipway.ini~', 'slipway.cgi.new', 'slipway.fcgi.part', 'slipway.db']) {
    fs.copyFileSync(binary, path.join(host.site, name));
  }
  for (const secret of secrets) {
    const answer = await host.request({ path: `/slipway/${secret}` });
    assert.ok([403, 404].includes(answer.status), `/slipway/${secret}: ${answer.status}`);
  }
});

test('without a way to run programs their bytes are not served', async (t) => {
  const host = await hostFor(t, { programs: ['slipway.cgi', 'slipway.fcgi'], handlers: [] });
  for (const name of ['slipway.cgi', 'slipway.fcgi', 'slipway.cgi/status', 'slipway.ini']) {
    const answer = await host.request({ path: `/slipway/${name}` });
    assert.equal(answer.status, 403, name);
  }
});

for (const handlers of [['cgid'], ['fcgid'], ['cgi'], []]) {
  test(`a host with no other module, handlers: ${handlers.join() || 'none'}`, async (t) => {
    const host = await hostFor(t, { programs: ['slipway.cgi', 'slipway.fcgi'], handlers, plain: true });
    const answer = await host.request({ path: '/slipway/slipway.ini' });
    assert.equal(answer.status, 403, `${answer.body}`);
    const program = handlers[0] === 'fcgid' ? 'slipway.fcgi' : 'slipway.cgi';
    const status = await host.request({ path: `/slipway/${program}/status` });
    assert.equal(status.status, handlers.length > 0 ? 200 : 403, `${status.body}\n${host.log()}`);
  });
}

// Puts a file under uploads as slipway would.
function publish(host, name, content, mode = 0o644) {
  const id = 'abcdefghijklmnopqrstuvwxyz';
  fs.mkdirSync(path.join(host.uploads, id), { recursive: true });
  fs.writeFileSync(path.join(host.uploads, id, name), content, { mode });
  host.own();
  return `/slipway/uploads/${id}/${name}`;
}

test('nothing among the uploads is executed', async (t) => {
  const host = await hostFor(t, {
    programs: ['slipway.cgi', 'slipway.fcgi'],
    extra: '<DirectoryMatch "/public_html">\nOptions +ExecCGI +Includes\n</DirectoryMatch>\nAddHandler cgi-script .cgi .sh\n'
      + 'AddOutputFilter INCLUDES .shtml\nAddType text/html .shtml',
  });
  const script = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nEXEC""UTED"\n';
  for (const name of ['evil.cgi', 'evil.sh', 'slipway.cgi', 'slipway.fcgi', 'evil.fcgi']) {
    const answer = await host.request({ path: publish(host, name, script, 0o755) });
    assert.equal(answer.status, 200, name);
    assert.equal(answer.body.toString(), script, name);
    assert.equal(answer.headers.get('content-disposition'), 'attachment');
  }
  const page = '<!--#echo var="DOCUMENT_NAME" -->';
  const answer = await host.request({ path: publish(host, 'evil.shtml', page) });
  assert.equal(answer.body.toString(), page);
});

test('uploads have the headers of user content', async (t) => {
  const host = await hostFor(t);
  const get = async (name) => (await host.request({ path: publish(host, name, 'x') })).headers;
  for (const name of ['a.png', 'A.JPG', 'a.txt', 'a.mp4']) {
    const headers = await get(name);
    assert.equal(headers.get('content-disposition'), undefined, name);
    assert.match(headers.get('content-security-policy'), /^sandbox;/, name);
  }
  for (const name of ['a.html', 'a.svg', 'a', 'a.png.html', 'slipway.ini']) {
    const headers = await get(name);
    assert.equal(headers.get('content-disposition'), 'attachment', name);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', name);
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', name);
    assert.equal(headers.get('referrer-policy'), 'no-referrer', name);
    assert.match(headers.get('x-robots-tag'), /noindex/, name);
  }
  assert.equal((await get('a.pdf')).get('content-security-policy'), undefined);
  assert.equal((await get('a.pdf')).get('content-disposition'), undefined);
});

test('without mod_headers nothing of strangers is a page of the site', async (t) => {
  const host = await hostFor(t, { without: ['headers'] });
  for (const name of ['a.html', 'a.svg', 'a.xhtml', 'a.js', 'a']) {
    const answer = await host.request({ path: publish(host, name, '<script>alert(1)</script>') });
    assert.equal(answer.headers.get('content-type'), 'application/octet-stream', name);
  }
});

test('the Authorization header reaches the program', async (t) => {
  const host = await hostFor(t);
  host.write('slipway.cgi', '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n%s" "$HTTP_AUTHORIZATION"\n', 0o755);
  for (const target of ['/slipway/slipway.cgi/status', '/slipway/status']) {
    const headers = [['Authorization', 'Bearer abc']];
    assert.equal((await host.request({ path: target, headers })).body.toString(), 'Bearer abc', target);
    assert.equal((await host.request({ path: target })).body.toString(), '', target);
  }
});

test('the Authorization header reaches a FastCGI program', async (t) => {
  const host = await hostFor(t, { programs: ['slipway.fcgi'] });
  const source = path.join(host.dir, 'echo.c');
  fs.writeFileSync(source, `
    #include <fcgi_stdio.h>
    #include <stdlib.h>
    int main(void) {
      while (FCGI_Accept() >= 0) {
        const char *a = getenv("HTTP_AUTHORIZATION");
        printf("Content-Type: text/plain\\r\\n\\r\\n%s", a ? a : "");
      }
      return 0;
    }`);
  const built = spawnSync('cc', ['-o', `${source}.out`, source, '-lfcgi']);
  assert.equal(built.status, 0, String(built.stderr));
  host.put(`${source}.out`, 'slipway.fcgi');
  for (const target of ['/slipway/slipway.fcgi/status', '/slipway/status']) {
    const headers = [['Authorization', 'Bearer abc']];
    assert.equal((await host.request({ path: target, headers })).body.toString(), 'Bearer abc', target);
    assert.equal((await host.request({ path: target })).body.toString(), '', target);
  }
});

// --- Downloads by local redirect ---------------------------------------------

const redirecting = '[download]\noffload = local-redirect\noffload_prefix = /slipway/uploads\n';

// The commented recipe of .htaccess, in force.
function closeUploads(host) {
  const text = fs.readFileSync(path.join(cgiBin, '.htaccess'), 'utf8');
  const open = text.replace(/# (<If [^\n]*\n)# {5}(Require expr [^\n]*\n)# (<\/If>)/, '$1    $2$3');
  assert.notEqual(open, text, 'the recipe is there');
  host.write('.htaccess', open);
}

for (const program of ['slipway.cgi', 'slipway.fcgi']) {
  test(`Apache sends downloads by itself, ${program}`, async (t) => {
    const host = await hostFor(t, { programs: [program], ini: redirecting });
    const answer = await host.request({
      method: 'PUT', path: '/slipway/upload/a.html', headers: [acceptJson], body: '<p>hello',
    });
    const [file] = json(answer).files;
    for (const closed of [false, true]) {
      if (closed) closeUploads(host);
      const direct = await host.request({ path: file.url });
      assert.equal(direct.status, closed ? 403 : 200, 'the static URL');
      for (const target of [file.download, `/slipway/download/${file.id}`]) {
        const down = await host.request({ path: target });
        assert.equal(down.status, 200, `${target} ${closed}: ${down.body}`);
        assert.equal(down.body.toString(), '<p>hello');
        assert.match(down.headers.get('content-disposition'), /^attachment; filename="a\.html"/);
        assert.match(down.headers.get('content-security-policy'), /^sandbox;/);
        const part = await host.request({ path: target, headers: [['Range', 'bytes=3-4']] });
        assert.equal(part.status, 206);
        assert.equal(part.body.toString(), 'he');
      }
    }
  });
}

// --- What is wrong, in words -------------------------------------------------

for (const program of ['slipway.cgi', 'slipway.fcgi']) {
  for (const [what, spoil] of [
    ['made 0644', (host) => fs.chmodSync(path.join(host.site, program), 0o644)],
    ['damaged in text mode', (host) => host.write(program, 'ELF\r\n', 0o755)],
  ]) {
    test(`a program that FTP has ${what} is explained, ${program}`, async (t) => {
      const host = await hostFor(t, { programs: [program] });
      spoil(host);
      for (const target of [`/slipway/${program}/status`, '/slipway/status']) {
        const answer = await host.request({ path: target });
        assert.equal(answer.status, 500);
        assert.match(answer.body.toString(), /mode 755[^]*suEXEC[^]*binary mode/);
      }
    });
  }
}

test('a wrong ini file is explained by every program, and mended in place', async (t) => {
  const host = await hostFor(t, {
    programs: ['slipway.cgi', 'slipway.fcgi'], ini: '[limits]\nmax_file_size = lots\n',
  });
  for (const program of ['slipway.cgi', 'slipway.fcgi']) {
    const target = `/slipway/${program}/status`;
    const page = await host.request({ path: target, headers: [html] });
    assert.equal(page.status, 503);
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.match(page.body.toString(), /slipway\.ini:2: \[limits\] max_file_size/);
    assert.ok(!page.body.includes(host.dir), 'no path is shown');
    const text = await host.request({ path: target, headers: [['Accept', 'text/plain']] });
    assert.match(text.headers.get('content-type'), /^text\/plain/);
  }
  const before = host.processes('slipway.fcgi');
  assert.equal(before.length, 1, 'one process explains it');
  host.write('slipway.ini', '');
  assert.equal((await host.request({ path: '/slipway/slipway.cgi/status' })).status, 200);
  await waitFor('FastCGI to be mended', async () => (
    (await host.request({ path: '/slipway/slipway.fcgi/status' })).status === 200), { timeout: 15000, every: 200 });
  assert.deepEqual(host.processes('slipway.fcgi'), before, 'it did not exit');
});

test('its own failures are not hidden behind those of the host', async (t) => {
  const host = await hostFor(t, { programs: ['slipway.cgi', 'slipway.fcgi'], ini: '' });
  fs.mkdirSync(host.data);
  fs.writeFileSync(path.join(host.data, 'slipway.db'), 'no database '.repeat(1000));
  host.own();
  for (const program of ['slipway.cgi', 'slipway.fcgi']) {
    const page = await host.request({ path: `/slipway/${program}/status`, headers: [html] });
    assert.equal(page.status, 500);
    assert.match(page.body.toString(), /restore slipway\.db from a backup/);
  }
});

test('a changed ini file counts without a restart', async (t) => {
  const host = await hostFor(t, { programs: ['slipway.fcgi'], ini: '' });
  const limit = async () => json(await host.request({
    path: '/slipway/status', headers: [acceptJson],
  })).limits.max_file_size;
  assert.equal(await limit(), 16 * 2 ** 30);
  host.write('slipway.ini', '[limits]\nmax_file_size = 5K\n');
  await waitFor('the new limit', async () => (await limit()) === 5120, { timeout: 15000, every: 200 });
});

// The web can read the data directory: a host that does not heed .htaccess
// there, and has no mod_rewrite.
const careless = (programs) => ({
  programs, ini: '', handlers: programs.map((name) => (name.endsWith('.fcgi') ? 'fcgid' : 'cgid')), plain: true,
});

for (const program of ['slipway.cgi', 'slipway.fcgi']) {
  test(`a data directory that the web can read is refused, ${program}`, async (t) => {
    const host = await hostFor(t, {
      ...careless([program]),
      extra: '<DirectoryMatch "/slipway/data(/|$)">\nAllowOverride None\nRequire all granted\n</DirectoryMatch>',
    });
    const target = `/slipway/${program}`;
    for (let i = 0; i < 3; i++) {
      const answer = await host.request({
        method: 'PUT', path: `${target}/upload/a`, body: 'x', headers: [acceptJson],
      });
      assert.equal(answer.status, 503, `${answer.body}${host.log()}`);
      const problem = json(answer);
      assert.equal(problem.type, 'urn:slipway:problem:config');
      assert.match(problem.detail, /can read/);
      assert.match(problem.detail, /data = \.\.\/\.\.\/slipway-data /);
    }
    assert.deepEqual(fs.readdirSync(host.uploads), []);
    assert.deepEqual(fs.readdirSync(host.data).filter((name) => name.startsWith('reach-')), []);
    assert.match(host.log(), /below the document root .*public_html.* is reachable/);
    // The very line that it asks for.
    host.write('slipway.ini', '[storage]\ndata = ../../slipway-data\n');
    const answer = await waitFor('the move', async () => {
      const status = await host.request({ path: `${target}/status`, headers: [acceptJson] });
      return status.status === 200 && status;
    }, { timeout: 15000, every: 200 });
    assert.equal(answer.status, 200);
    assert.ok(fs.existsSync(path.join(host.home, 'slipway-data/slipway.db')));
  });
}

// A stranger's program on another port of the same machine, which Apache names
// as its own to a client whose Host field does.
for (const program of ['slipway.cgi', 'slipway.fcgi']) {
  test(`the answer of a stranger's port is not believed, ${program}`, async (t) => {
    const stranger = http.createServer((req, res) => {
      res.writeHead(404);
      res.end();
    });
    await new Promise((resolve) => { stranger.listen(0, '127.0.0.1', resolve); });
    t.after(() => stranger.close());
    const host = await hostFor(t, {
      ...careless([program]),
      extra: '<DirectoryMatch "/slipway/data(/|$)">\nAllowOverride None\nRequire all granted\n</DirectoryMatch>',
    });
    const options = { path: `/slipway/${program}/status`, headers: [acceptJson], timeout: 20000 };
    for (let i = 0; i < 2; i++) {
      const lured = await request(host.port, {
        ...options, headers: [acceptJson, ['Host', `localhost:${stranger.address().port}`]],
      });
      assert.equal(lured.status, 503);
      assert.match(json(lured).detail, /cannot find out/);
      const answer = await host.request(options);
      assert.equal(answer.status, 503);
      assert.match(json(answer).detail, /The web can read/);
    }
  });

  for (const [what, options, close] of [
    ['by the recipe', {}, closeUploads],
    ['altogether', { extra: '<Location /slipway/uploads>\nRequire all denied\n</Location>' }, () => {}],
  ]) {
    test(`slipway works where static URLs are closed ${what}, ${program}`, async (t) => {
      const host = await hostFor(t, { programs: [program], ...options });
      close(host);
      for (const base of [`/slipway/${program}`, '/slipway']) {
        const status = await host.request({ path: `${base}/status`, headers: [acceptJson] });
        assert.equal(status.status, 200, `${status.body}\n${host.log()}`);
      }
      for (const dir of [host.data, host.uploads]) {
        assert.deepEqual(fs.readdirSync(dir, { recursive: true }).filter((name) => name.includes('reach-')), []);
      }
    });
  }
}

// --- A new version by FTP ----------------------------------------------------

for (const program of ['slipway.cgi', 'slipway.fcgi']) {
  test(`the program is replaced under load, ${program}`, async (t) => {
    const host = await hostFor(t, { programs: [program], ini: '[storage]\ndurability = process\n' });
    const old = path.join(host.dir, 'old');
    let stop = false;
    const stored = [];
    const client = async (n) => {
      for (let i = 0; !stop; i++) {
        const body = crypto.randomBytes(20000);
        const answer = await host.request({
          method: 'PUT', path: `/slipway/${program}/upload/${n}-${i}.bin`, headers: [acceptJson], body,
        });
        assert.equal(answer?.status, 201, `${answer?.body}\n${host.log()}`);
        stored.push({ url: json(answer).files[0].url, digest: sha256(body) });
      }
    };
    const clients = Array.from({ length: 4 }, (_, n) => client(n));
    await sleep(500);
    fs.linkSync(path.join(host.site, program), old);
    const oldInode = fs.statSync(old).ino;
    const isOld = (pid) => {
      try {
        return fs.statSync(`/proc/${pid}/exe`).ino === oldInode;
      } catch {
        return false;
      }
    };
    for (let i = 0; i < 5; i++) {
      host.put(path.join(cgiBin, program), program);
      await sleep(300);
    }
    const more = stored.length;
    await waitFor('uploads by the new program', () => stored.length > more + 10, { timeout: 20000 });
    stop = true;
    await Promise.all(clients);
    await waitFor('old processes to leave', () => {
      const pids = fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid));
      return !pids.some(isOld);
    }, { timeout: 15000, every: 200 });
    for (const { url, digest } of stored) {
      assert.equal(sha256((await host.request({ path: url })).body), digest);
    }
  });
}

// --- TLS ---------------------------------------------------------------------

// Slipway cannot speak TLS, so it cannot ask this site for anything.
function tlsSite(dir, port) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', `${dir}/key`, '-out', `${dir}/certificate`], { stdio: 'ignore' });
  fs.chmodSync(dir, 0o755);
  fs.chmodSync(`${dir}/key`, 0o644);
  return ['LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so', 'SSLSessionCache none',
    `Listen 127.0.0.1:${port}`, `<VirtualHost 127.0.0.1:${port}>`, 'SSLEngine on',
    `SSLCertificateFile ${dir}/certificate`, `SSLCertificateKeyFile ${dir}/key`, '</VirtualHost>',
  ].join('\n');
}

const overTls = (port, target) => new Promise((resolve, reject) => {
  https.get({ host: '127.0.0.1', port, path: target, rejectUnauthorized: false }, (answer) => {
    answer.resume();
    answer.on('end', () => resolve(answer.statusCode));
  }).on('error', reject);
});

for (const program of ['slipway.cgi', 'slipway.fcgi']) {
  test(`on a TLS site the rules of .htaccess vouch for data, ${program}`, async (t) => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-tls-'));
    t.after(() => fs.rmSync(dir, { recursive: true }));
    const port = await freePort();
    const extra = tlsSite(dir, port);
    await hostFor(t, { programs: [program], extra });
    assert.equal(await overTls(port, '/slipway/status'), 200);
    assert.equal(await overTls(port, '/slipway/data/slipway.db'), 403);
    const other = await freePort();
    await hostFor(t, {
      programs: [program], extra: extra.replaceAll(String(port), String(other)), without: ['rewrite'],
    });
    assert.equal(await overTls(other, `/slipway/${program}/status`), 503);
  });
}

// --- What the host refuses ---------------------------------------------------

for (const program of ['slipway.cgi', 'slipway.fcgi']) {
  test(`${program}: what is over the host's limit is refused, not stored as nothing or cut`, async (t) => {
    const host = await hostFor(t, { programs: [program], extra: 'LimitRequestBody 100000' });
    const put = (size, more) => request(host.port, {
      method: 'PUT', path: '/slipway/upload/a.bin', body: Buffer.alloc(size, 'x'), ...more,
    });
    assert.equal((await put(90000)).status, 201);
    assert.equal((await put(100001)).status, 413);
    const chunked = (await put(300000, { length: 'none' })).status;
    assert.ok([411, 413].includes(chunked), `${chunked}`);
    const creation = await request(host.port, {
      method: 'POST', path: '/slipway/upload', headers: [['Tus-Resumable', '1.0.0'], ['Upload-Length', '300000']],
    });
    const patch = await request(host.port, {
      method: 'PATCH', path: creation.headers.get('location'), body: Buffer.alloc(300000, 'x'),
      headers: [['Tus-Resumable', '1.0.0'], ['Upload-Offset', '0'], ['Content-Type', 'application/offset+octet-stream']],
    });
    assert.equal(patch.status, 413);
    assert.equal(fs.readdirSync(host.uploads).filter((name) => name.length === 26).length, 1);
  });
}
