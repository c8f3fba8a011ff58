// The guard of the private directory, against web servers that answer in every
// way, and what slipway says when it cannot work.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { acceptJson, cgi, isProblem } from '../lib/e2e.mjs';
import { opening, output, record, talk, type } from '../lib/fastcgi.mjs';
import { json } from '../lib/http.mjs';
import { binary } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

// A site: a document root with slipway's directory in it.
function site(t, ini = '') {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-guard-'));
  t.after(() => fs.rmSync(home, { recursive: true, force: true }));
  const docroot = path.join(home, 'www');
  const dir = path.join(docroot, 'some where');
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(path.join(dir, 'slipway.ini'), ini);
  return { home, docroot, dir, ini: path.join(dir, 'slipway.ini'), data: path.join(dir, 'data') };
}

// A web server on its own address that answers with answer(req, res), and what
// it was asked.
async function webServer(t, answer, { address = '127.0.0.1', port = 0 } = {}) {
  const asked = [];
  const server = http.createServer((req, res) => {
    asked.push({ url: req.url, headers: req.headers });
    answer(req, res);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, env: { SERVER_ADDR: address, SERVER_PORT: String(server.address().port) } };
}

// Serves the document root as it is.
const careless = ({ docroot }) => (req, res) => {
  fs.readFile(path.join(docroot, decodeURIComponent(req.url)), (error, data) => {
    res.writeHead(error ? 404 : 200);
    res.end(data);
  });
};
const says = (status, headers = {}) => (req, res) => {
  res.writeHead(status, headers);
  res.end('something');
};

// Serves the document root, but not the data directory.
const careful = (here, status = 403) => (req, res) => (
  /^(?:\/~user)?\/some%20where\/uploads\//.test(req.url)
    ? careless(here)({ url: req.url.replace('/~user', '') }, res) : says(status)(req, res));
// Serves no file, but runs slipway.
const program = '/cgi-bin/slipway/';
const runs = (here, status = 403) => async (req, res) => {
  if (req.url !== program) {
    says(status)(req, res);
    return;
  }
  const answer = await cgi(here.ini, {
    path: '/', headers: [['Slipway-Self', req.headers['slipway-self']]],
  });
  res.writeHead(answer.status);
  res.end(answer.body);
};

// What the rules in cgi-bin/.htaccess set.
const vouched = (ini) => ({
  SCRIPT_FILENAME: path.join(path.dirname(ini), 'slipway.cgi'), SSL_SLIPWAY_GUARDS: 'uploads',
});

const visit = ({ ini, docroot }, env, options = {}) => cgi(ini, {
  path: '/status', headers: [acceptJson, ['Host', 'www.example.org']],
  env: { DOCUMENT_ROOT: docroot, ...vouched(ini), ...env }, ...options,
});

const noTokens = ({ data, dir }) => assert.deepEqual(
  [data, path.join(dir, 'uploads')].flatMap((at) => fs.readdirSync(at, { recursive: true }))
    .filter((name) => name.includes('reach-')), []);

test('a directory that the web can read is refused', async (t) => {
  const here = site(t);
  const { env, asked } = await webServer(t, careless(here));
  const problem = isProblem(await visit(here, env), 503, 'config');
  assert.match(problem.detail, /The web can read .* data = \.\.\/\.\.\/slipway-data /);
  assert.match(asked[0].url, /^\/some%20where\/data\/reach-[a-z2-7]{26}$/);
  assert.equal(asked[0].headers.host, 'www.example.org');
  noTokens(here);
});

for (const status of [401, 403, 404]) {
  test(`a directory that answers ${status} is barred, and that is remembered`, async (t) => {
    const here = site(t);
    const { env, asked } = await webServer(t, careful(here, status));
    for (let i = 0; i < 3; i++) assert.equal((await visit(here, env)).status, 200);
    assert.equal(asked.length, 2);
    assert.match(asked[1].url, /^\/some%20where\/uploads\/[a-z2-7]{26}\/reach-[a-z2-7]{26}$/);
    assert.equal(asked[1].headers.host, 'www.example.org');
    noTokens(here);
  });

  test(`where uploads answer ${status} too, slipway itself is asked for`, async (t) => {
    const here = site(t);
    const { env, asked } = await webServer(t, runs(here, status));
    for (let i = 0; i < 3; i++) assert.equal((await visit(here, env)).status, 200);
    assert.deepEqual(asked.map(({ url }) => url.replace(/([a-z2-7]{26}\/)?reach-.*/, '')),
      ['/some%20where/data/', '/some%20where/uploads/', program]);
    assert.match(asked[2].headers['slipway-self'], /^reach-[a-z2-7]{26}$/);
    assert.equal(asked[2].headers.host, 'www.example.org');
    noTokens(here);
  });

  test(`a server that answers ${status} to everything may be another site's`, async (t) => {
    const here = site(t);
    const { env, asked } = await webServer(t, says(status));
    for (let i = 1; i <= 2; i++) {
      const problem = isProblem(await visit(here, env), 503, 'config');
      assert.match(problem.detail, /cannot find out .* data = \.\.\/\.\.\/slipway-data /);
      assert.equal(asked.length, 3 * i, 'that is not remembered');
    }
    noTokens(here);
  });
}

for (const [what, page] of [
  ['anything', () => says(200)],
  // What it was told is all that it could say.
  ['what it was asked', () => (req, res) => res.end(`${req.url}\n${JSON.stringify(req.headers)}`)],
  ['for another slipway', (t) => runs(site(t))],
]) {
  test(`a server that bars files and answers ${what} may be another site's`, async (t) => {
    const here = site(t);
    const answer = page(t);
    const { env, asked } = await webServer(t, (req, res) => (
      req.url === program ? answer : says(404))(req, res));
    isProblem(await visit(here, env), 503, 'config');
    assert.deepEqual(asked.map(({ url }) => url === program), [false, false, true]);
    noTokens(here);
  });
}

test("what a stranger's server on another port says does not open the guard", async (t) => {
  const here = site(t);
  const site404 = await webServer(t, says(404));
  const { env } = await webServer(t, careless(here));
  const service = await fastcgi(t, here);
  const at = (server) => service.get({ ...server, DOCUMENT_ROOT: here.docroot });
  for (let i = 0; i < 2; i++) {
    isProblem(await visit(here, site404.env), 503, 'config');
    assert.match(isProblem(await visit(here, env), 503, 'config').detail, /The web can read /);
    assert.match(await at(site404.env), /^Status: 503[^]*cannot find out/);
    assert.match(await at(env), /^Status: 503[^]*The web can read /);
  }
});

test('what is known of one port is not believed of another', async (t) => {
  const here = site(t);
  const bad = await webServer(t, careless(here));
  const { env } = await webServer(t, careful(here));
  const service = await fastcgi(t, here);
  const at = (server) => service.get({ ...server, DOCUMENT_ROOT: here.docroot });
  for (let i = 0; i < 2; i++) {
    assert.equal((await visit(here, env)).status, 200);
    assert.match(isProblem(await visit(here, bad.env), 503, 'config').detail, /The web can read /);
    assert.match(await at(env), /^Status: 200/);
    assert.match(await at(bad.env), /^Status: 503[^]*The web can read /);
  }
});

test('slipway may take a while to answer for itself', async (t) => {
  const here = site(t);
  const { env } = await webServer(t, (req, res) => (
    setTimeout(() => runs(here)(req, res), req.url === program ? 3000 : 0)));
  assert.equal((await visit(here, env)).status, 200);
});

test('nobody is told what only slipway may ask', async (t) => {
  const here = site(t, '[storage]\ndata = ../../private\n');
  assert.equal((await visit(here, {})).status, 200);
  for (const name of ['1', 'slipway.db', '../private/slipway.db', 'reach-', `reach-${'a'.repeat(26)}`]) {
    const answer = await visit(here, {}, { headers: [acceptJson, ['Slipway-Self', name]] });
    isProblem(answer, 404, 'not-found');
  }
});

for (const [what, answer] of [
  ['301', says(301, { Location: 'https://www.example.org/' })],
  ['500', says(500)],
  ['200 without the token', says(200)],
  ['nothing', (req, res) => res.destroy()],
]) {
  test(`a web server that answers ${what} tells nothing, so slipway refuses`, async (t) => {
    const here = site(t);
    const { env } = await webServer(t, answer);
    const problem = isProblem(await visit(here, env), 503, 'config');
    assert.match(problem.detail, /cannot find out .* data = \.\.\/\.\.\/slipway-data /);
    noTokens(here);
  });
}

test('a web server that does not answer is waited for 2 seconds', async (t) => {
  const here = site(t);
  const { env } = await webServer(t, () => {});
  const started = Date.now();
  isProblem(await visit(here, env), 503, 'config');
  assert.ok(Date.now() - started < 3500, `${Date.now() - started} ms`);
  noTokens(here);
});

test('without the address of the server there is no answer either', async (t) => {
  const here = site(t);
  for (const env of [{}, { SERVER_ADDR: '127.0.0.1' }, { SERVER_ADDR: 'localhost', SERVER_PORT: '80' },
    { SERVER_ADDR: '127.0.0.1', SERVER_PORT: '99999' }]) {
    isProblem(await visit(here, env), 503, 'config');
  }
});

test('a wrong port in one request is not held against others', async (t) => {
  const here = site(t);
  const { env } = await webServer(t, careful(here));
  for (let i = 0; i < 2; i++) {
    assert.equal((await visit(here, { ...env, SERVER_PORT: '1' })).status, 503);
    assert.equal((await visit(here, env)).status, 200);
  }
});

test('where asking leads nowhere, .htaccess can vouch for the directory', async (t) => {
  const here = site(t);
  const { env, asked } = await webServer(t, says(301));
  const at = (names) => visit(here, { ...env, ...names });
  for (const names of [{}, { SSL_SLIPWAY_BARS: 'uploads' }, { SSL_SLIPWAY_BARS: 'nothing' },
    { SSL_SLIPWAY_BARS: 'data', SCRIPT_FILENAME: '/elsewhere/slipway.cgi' }, { HTTP_SSL_SLIPWAY_BARS: 'data' }]) {
    isProblem(await at(names), 503, 'config');
  }
  assert.equal((await at({ SSL_SLIPWAY_BARS: 'data' })).status, 200);
  assert.ok(asked.length > 0);
});

test('what the web can read is refused, whoever vouches for it', async (t) => {
  const here = site(t);
  const { env } = await webServer(t, careless(here));
  isProblem(await visit(here, { ...env, SSL_SLIPWAY_BARS: 'data' }), 503, 'config');
});

test('on a TLS site port 80 is asked too', async (t) => {
  const here = site(t);
  const tls = net.createServer((socket) => socket.end('\x15\x03\x01\x00\x02\x02\x46'));
  await new Promise((resolve) => { tls.listen(0, '127.0.0.2', resolve); });
  t.after(() => tls.close());
  let plain;
  let answer = says(404); // of another site
  try {
    plain = await webServer(t, (req, res) => answer(req, res), { address: '127.0.0.2', port: 80 });
  } catch (error) {
    t.skip(`port 80 of 127.0.0.2 cannot be had: ${error.code}`);
    return;
  }
  const env = { SERVER_ADDR: '127.0.0.2', SERVER_PORT: String(tls.address().port) };
  assert.equal((await visit(here, env)).status, 503);
  assert.equal(plain.asked.length, 0);
  assert.equal((await visit(here, { ...env, HTTPS: 'on' })).status, 503);
  assert.equal(plain.asked.length, 3);
  answer = careful(here);
  assert.equal((await visit(here, { ...env, HTTPS: 'on' })).status, 200);
  assert.equal(plain.asked.length, 5);
});

test('an aliased directory is asked for at its own URL', async (t) => {
  const here = site(t);
  const { env, asked } = await webServer(t, careful(here));
  const aliased = { ...here, docroot: here.home.replace(/.*/, '/nonexistent') };
  const answer = await visit(aliased, {
    ...env, CONTEXT_DOCUMENT_ROOT: here.docroot, CONTEXT_PREFIX: '/~user',
  });
  assert.equal(answer.status, 200);
  assert.match(asked[0].url, /^\/~user\/some%20where\/data\/reach-/);
  assert.match(asked[1].url, /^\/~user\/some%20where\/uploads\/[a-z2-7]{26}\/reach-/);
});

test('data outside of the document root is not asked for', async (t) => {
  const here = site(t, '[storage]\ndata = ../../private\n');
  const { env, asked } = await webServer(t, careless(here));
  assert.equal((await visit(here, env)).status, 200);
  assert.equal(asked.length, 0);
});

test('a document root that is reached through a symbolic link counts', async (t) => {
  const here = site(t);
  const link = path.join(here.home, 'link');
  fs.symlinkSync(here.docroot, link);
  const { env } = await webServer(t, careless(here));
  isProblem(await visit({ ...here, docroot: link }, env), 503, 'config');
});

// --- FastCGI -----------------------------------------------------------------

// slipway as a web server starts it: with a listening socket as fd 0.
async function fastcgi(t, { dir, ini }) {
  const socket = path.join(dir, 'socket');
  const script = `import socket, os, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(64)
os.dup2(s.fileno(), 0)
os.execv(sys.argv[2], [sys.argv[2]])`;
  const child = spawn('python3', ['-c', script, socket, binary], {
    stdio: ['ignore', 'ignore', 'pipe'], env: { SLIPWAY_CONFIG: ini },
  });
  child.stderr.resume();
  await waitFor('the socket', () => fs.existsSync(socket));
  t.after(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await new Promise((resolve) => { child.once('exit', resolve); });
  });
  const get = async (variables) => output(await talk(socket, opening({
    REQUEST_METHOD: 'GET', SCRIPT_NAME: '/slipway', PATH_INFO: '/status', QUERY_STRING: '',
    HTTP_ACCEPT: 'application/json', ...vouched(ini), ...variables,
  }), record(type.stdin)));
  const put = async (name, pieces) => {
    const length = pieces.filter((piece) => typeof piece === 'string').join('').length;
    return output(await talk(socket, opening({
      REQUEST_METHOD: 'PUT', SCRIPT_NAME: '/slipway', PATH_INFO: `/upload/${name}`,
      QUERY_STRING: '', CONTENT_LENGTH: String(length),
    }), ...pieces.map((piece) => (
      typeof piece === 'string' ? record(type.stdin, piece) : piece)), record(type.stdin)));
  };
  return { child, get, put };
}

test('a web server that sends the question back to slipway waits for nothing', async (t) => {
  const here = site(t);
  const service = await fastcgi(t, here);
  const { env } = await webServer(t, async (req, res) => {
    const back = await service.get({
      ...env, DOCUMENT_ROOT: here.docroot, PATH_INFO: req.url,
      HTTP_SLIPWAY_SELF: req.headers['slipway-self'],
    });
    res.writeHead(Number(/^Status: (\d+)/.exec(back)[1]));
    res.end(back);
  });
  const started = Date.now();
  assert.match(await service.get({ ...env, DOCUMENT_ROOT: here.docroot }), /^Status: 200/);
  assert.ok(Date.now() - started < 1500, `${Date.now() - started} ms`);
});

test('within one process a wrong port is not held against others either', async (t) => {
  const here = site(t);
  const { env } = await webServer(t, careful(here));
  const service = await fastcgi(t, here);
  const at = (port) => service.get({ ...env, DOCUMENT_ROOT: here.docroot, SERVER_PORT: port });
  for (let i = 0; i < 2; i++) {
    assert.match(await at('1'), /^Status: 503/);
    assert.match(await at(env.SERVER_PORT), /^Status: 200/);
  }
});

test('requests that name ports where nothing answers do not hold up others', async (t) => {
  const here = site(t);
  const { env } = await webServer(t, careful(here));
  const service = await fastcgi(t, here);
  const at = (server) => service.get({ ...server, DOCUMENT_ROOT: here.docroot });
  assert.match(await at(env), /^Status: 200/);
  const silent = await Promise.all(Array.from({ length: 6 }, () => webServer(t, () => {})));
  const slow = silent.map((server) => at(server.env));
  await sleep(300);
  for (let i = 0; i < 5; i++) {
    const started = Date.now();
    assert.match(await at(env), /^Status: 200/);
    assert.ok(Date.now() - started < 500, `${Date.now() - started} ms`);
    await sleep(1000);
  }
  for (const answer of await Promise.all(slow)) assert.match(answer, /^Status: 503/);
});

test('many first requests at once ask once', async (t) => {
  const here = site(t);
  const { env, asked } = await webServer(t, (req, res) => setTimeout(() => careful(here)(req, res), 300));
  const service = await fastcgi(t, here);
  const all = await Promise.all(Array.from({ length: 20 }, () => (
    service.get({ ...env, DOCUMENT_ROOT: here.docroot }))));
  for (const text of all) assert.match(text, /^Status: 200/);
  assert.equal(asked.length, 2);
});

test('many first processes at once make one database', async (t) => {
  for (let i = 0; i < 10; i++) {
    const here = site(t, '[storage]\ndata = ../../private\n');
    const all = await Promise.all(Array.from({ length: 8 }, () => visit(here, {})));
    for (const answer of all) assert.equal(answer.status, 200, answer.stderr);
  }
});

// --- The URL of uploads ------------------------------------------------------

const put = (here, env) => visit(here, env, {
  method: 'PUT', path: '/upload/a.txt', body: 'x', headers: [acceptJson],
});

test('the static URL is the path below the document root', async (t) => {
  const outside = '[storage]\ndata = ../../private\n';
  const here = site(t, outside);
  let [file] = json(await put(here, {})).files;
  assert.match(file.url, /^\/some%20where\/uploads\/[a-z2-7]{26}\/a\.txt$/);
  [file] = json(await put({ ...here, docroot: '/nonexistent' }, {
    CONTEXT_DOCUMENT_ROOT: here.docroot, CONTEXT_PREFIX: '/~me/',
  })).files;
  assert.match(file.url, /^\/~me\/some%20where\/uploads\//);
  [file] = json(await put({ ...here, docroot: '/nonexistent' }, {})).files;
  assert.match(file.url, /^\/_upload\//);
  for (const name of [undefined, '', 'other', 'data']) {
    [file] = json(await put(here, { SSL_SLIPWAY_GUARDS: name })).files;
    assert.match(file.url, /^\/_upload\//, 'nobody vouches for the directory');
  }
  fs.writeFileSync(here.ini, `${outside}[uploads]\nurl = /_upload\n`);
  [file] = json(await put(here, {})).files;
  assert.match(file.url, /^\/_upload\//);
});

// --- What is wrong, in words -------------------------------------------------

// Is there a filesystem other than that of temporary files?
function otherFilesystem() {
  const here = fs.statSync(os.tmpdir()).dev;
  return ['/dev/shm', '/run', '/var/tmp'].find((dir) => {
    try {
      fs.accessSync(dir, fs.constants.W_OK);
      return fs.statSync(dir).dev !== here;
    } catch {
      return false;
    }
  });
}

const mistakes = {
  'an ini file that is wrong': {
    break: (here) => fs.writeFileSync(here.ini, '[storage]\ndatta = x\n'),
    mend: (here) => fs.writeFileSync(here.ini, ''),
    status: 503, words: /slipway\.ini:2: \[storage\] datta: unknown key/,
  },
  'an ini file that is a directory': {
    break: (here) => {
      fs.rmSync(here.ini);
      fs.mkdirSync(here.ini);
    },
    mend: (here) => {
      fs.rmdirSync(here.ini);
      fs.writeFileSync(here.ini, '');
    },
    status: 503, words: /slipway\.ini: is not a regular file/,
  },
  'data that is a file': {
    break: (here) => fs.writeFileSync(here.data, ''),
    mend: (here) => fs.rmSync(here.data),
    status: 503, words: /\[storage\] data cannot be used: Not a directory.*must be able to/,
  },
  'uploads that are a file': {
    break: (here) => fs.writeFileSync(path.join(here.dir, 'uploads'), ''),
    mend: (here) => fs.rmSync(path.join(here.dir, 'uploads')),
    status: 503, words: /\[uploads\] directory cannot be used: Not a directory/,
  },
  'a database that is none': {
    break: (here) => {
      fs.mkdirSync(here.data);
      fs.writeFileSync(path.join(here.data, 'slipway.db'), 'no database '.repeat(1000));
    },
    mend: (here) => fs.rmSync(path.join(here.data, 'slipway.db')),
    status: 500, words: /damaged.*restore slipway\.db from a backup/,
  },
  'a database that is a directory': {
    break: (here) => fs.mkdirSync(path.join(here.data, 'slipway.db'), { recursive: true }),
    mend: (here) => fs.rmdirSync(path.join(here.data, 'slipway.db')),
    status: 500, words: /slipway\.db and its directory must belong to the user/,
  },
};

const other = otherFilesystem();
if (other) {
  const away = path.join(other, `slipway-guard-${process.pid}`);
  mistakes['uploads on another filesystem'] = {
    break: (here) => {
      fs.mkdirSync(away);
      fs.symlinkSync(away, path.join(here.dir, 'uploads'));
    },
    mend: (here) => {
      fs.rmdirSync(away);
      fs.rmSync(path.join(here.dir, 'uploads'));
    },
    status: 503, words: /must be on one filesystem/,
  };
}

for (const [what, mistake] of Object.entries(mistakes)) {
  test(`${what} is explained, and mended while FastCGI runs`, async (t) => {
    const here = site(t);
    mistake.break(here);
    const root = { docroot: '/nonexistent' };
    const page = await visit({ ...here, ...root }, {}, { headers: [['Accept', 'text/html']] });
    assert.equal(page.status, mistake.status, `${page.body}`);
    assert.match(page.headers.get('content-type'), /^text\/html/);
    assert.match(page.body.toString(), mistake.words);
    assert.ok(!page.body.includes(here.home), 'a path is shown');
    assert.match(page.stderr, mistake.words);
    const text = await visit({ ...here, ...root }, {}, { headers: [['Accept', 'text/plain']] });
    assert.match(text.headers.get('content-type'), /^text\/plain/);
    assert.match(text.body.toString(), mistake.words);
    const service = await fastcgi(t, here);
    assert.match(await service.get({}), new RegExp(`^Status: ${mistake.status}`));
    mistake.mend(here);
    await waitFor('slipway to work', async () => (
      /^Status: 200/.test(await service.get({}))), { timeout: 15000, every: 200 });
    assert.equal(service.child.exitCode, null, 'it did not exit');
  });
}

test('settings change between requests, never within one', async (t) => {
  const here = site(t);
  const service = await fastcgi(t, here);
  assert.match(await service.get({}), /"max_file_size": ?17179869184/);
  const upload = service.put('slow.txt', ['first half, ', () => sleep(14000), 'second half']);
  await sleep(500);
  fs.writeFileSync(here.ini, '[limits]\nmax_file_size = 5\n');
  const then = new Date(Date.now() - 60000); // it counts at once
  fs.utimesSync(here.ini, then, then);
  assert.match(await upload, /^Status: 201/);
  await waitFor('the new limit', async () => (
    /"max_file_size": ?5,/.test(await service.get({}))), { timeout: 10000, every: 200 });
  assert.equal(service.child.exitCode, null);
});

// slipway as a user whom directories may keep out.
function unprivileged(t) {
  if (process.getuid() !== 0) return binary;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-user-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const bin = path.join(dir, 'slipway');
  fs.chmodSync(dir, 0o755);
  fs.copyFileSync(binary, `${bin}.bin`);
  fs.writeFileSync(bin, `#!/bin/sh\nexec setpriv --reuid nobody --regid nogroup --clear-groups ${bin}.bin\n`, { mode: 0o755 });
  return bin;
}

test('directories and files that slipway may not use are explained', async (t) => {
  const bin = unprivileged(t);
  const cases = {
    data: [(here) => fs.mkdirSync(here.data, { mode: 0o555 }), /\[storage\] data cannot be used: Permission denied/],
    uploads: [(here) => fs.mkdirSync(path.join(here.dir, 'uploads'), { mode: 0o555 }),
      /\[uploads\] directory cannot be used: Permission denied/],
    'the directory of both': [(here) => fs.chmodSync(here.dir, 0o555), /\[storage\] data cannot be used/],
    'the ini file': [(here) => fs.chmodSync(here.ini, 0), /slipway\.ini: cannot be read: Permission denied/],
  };
  for (const [what, [spoil, words]] of Object.entries(cases)) {
    const here = site(t);
    for (const dir of [here.home, here.docroot]) fs.chmodSync(dir, 0o755);
    fs.chmodSync(here.dir, 0o777);
    spoil(here);
    const answer = await visit({ ...here, docroot: '/nonexistent' }, {}, { bin });
    assert.match(isProblem(answer, 503, 'config').detail, words, what);
    assert.ok(!answer.body.includes(here.home), 'a path is shown');
    fs.chmodSync(here.dir, 0o777);
  }
});
