// Damaged and foreign databases, wrong configurations, sockets in the way, and
// CGI by hand: what no front server has to do with.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';

import {
  acceptJson, checkStore, cgi, command, everything, fast, iniOf, isProblem, multipart, picture,
  sha256, startCgi, unchanged,
} from '../lib/e2e.mjs';
import { json } from '../lib/http.mjs';
import { binary, Server } from '../lib/server.mjs';
import { waitFor } from '../lib/wait.mjs';

const MIB = 1 << 20;

// --- Databases ---------------------------------------------------------------

// A state directory with one stored file and nothing running.
async function stateWithFile(t, config = fast) {
  const state = new Server({ config });
  t.after(() => state.stop());
  const answer = await cgi(iniOf(state), {
    method: 'PUT', path: '/upload/kept.txt', headers: [acceptJson], body: 'kept',
  });
  assert.equal(answer.status, 201, answer.stderr);
  return { state, file: json(answer).files[0] };
}

const digestOf = (file) => sha256(fs.readFileSync(file));

// Every way in says what is wrong, and nothing is touched.
async function refused(state, pattern, file) {
  const before = digestOf(state.database);
  const visible = fs.readdirSync(state.uploads);
  const gc = await command('gc', '--config', iniOf(state));
  assert.notEqual(gc.code, 0, `gc is content: ${gc.stderr}`);
  assert.match(gc.stderr, pattern);
  const requests = [
    { method: 'PUT', path: '/upload/new.txt', headers: [acceptJson, ['Upload-Id', 'into-damage']], body: 'x' },
    { path: `/download/${file?.id ?? 'a'.repeat(26)}`, headers: [acceptJson] },
  ];
  for (const request of requests) {
    const answer = await cgi(iniOf(state), request);
    assert.equal(answer.status, 500, `${request.path}: ${answer.body}`);
    assert.match(answer.stderr, pattern);
  }
  const socket = path.join(state.dir, 'refused.sock');
  const serve = await command('serve', '--socket', socket, '--config', iniOf(state));
  assert.notEqual(serve.code, 0);
  assert.match(serve.stderr, pattern);
  assert.equal(digestOf(state.database), before, 'the database file was changed');
  assert.deepEqual(fs.readdirSync(state.uploads), visible, 'files were touched');
}

// Overwrites part of a file with noise that repeats.
function damage(file, from, to) {
  const noise = Buffer.alloc(to - from);
  for (let i = 0; i < noise.length; i++) noise[i] = (i * 167 + (i >> 8) * 91 + 13) & 255;
  const fd = fs.openSync(file, 'r+');
  fs.writeSync(fd, noise, 0, noise.length, from);
  fs.closeSync(fd);
}

test('a database damaged in the middle is refused and left alone', async (t) => {
  const { state, file } = await stateWithFile(t);
  const { size } = fs.statSync(state.database);
  damage(state.database, 4096, size);
  const before = digestOf(state.database);
  for (const request of [
    { path: `/download/${file.id}`, headers: [acceptJson] },
    { path: '/files', headers: [acceptJson] },
    { method: 'DELETE', path: `/files/${file.id}`, headers: [acceptJson] },
    { method: 'PUT', path: '/upload/new.txt', headers: [acceptJson], body: 'x' },
    { method: 'PUT', path: '/upload/new.txt?upload_id=with-an-id', headers: [acceptJson], body: 'x' },
  ]) {
    const answer = await cgi(iniOf(state), request);
    assert.equal(answer.status, 500, `${request.path}: ${answer.body}`);
    assert.match(answer.stderr, /damaged/);
  }
  assert.deepEqual(fs.readdirSync(state.uploads), [file.id], 'the file is still there');
  assert.equal(digestOf(state.database), before, 'the database file was changed');
});

test('gc says that a database is damaged', async (t) => {
  const { state } = await stateWithFile(t);
  damage(state.database, 4096, fs.statSync(state.database).size);
  const before = digestOf(state.database);
  const gc = await command('gc', '--config', iniOf(state));
  assert.match(gc.stderr, /damaged/);
  assert.notEqual(gc.code, 0, 'exit status of gc');
  assert.equal(digestOf(state.database), before, 'the database file was changed');
});

test('a database with a damaged head is refused', async (t) => {
  const { state, file } = await stateWithFile(t);
  damage(state.database, 0, 512);
  await refused(state, /damaged|not a database/, file);
});

test('a text file in the place of the database is refused', async (t) => {
  const state = new Server({ config: fast });
  t.after(() => state.stop());
  fs.writeFileSync(state.database, 'This is a letter, not a database.\n'.repeat(100));
  await refused(state, /damaged|not a database/);
});

test('a newer schema is refused', async (t) => {
  const { state, file } = await stateWithFile(t);
  execFileSync('sqlite3', [state.database, 'PRAGMA user_version = 999']);
  await refused(state, /schema 999.*newer slipway/, file);
});

test('a database of another program is refused', async (t) => {
  const state = new Server({ config: fast });
  t.after(() => state.stop());
  execFileSync('sqlite3', [state.database, 'CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)']);
  await refused(state, /another program/);
});

test('the database is private', async (t) => {
  const { state } = await stateWithFile(t);
  assert.equal(fs.statSync(state.database).mode & 0o777, 0o600);
  assert.equal(fs.statSync(state.data).mode & 0o777, 0o700);
});

// --- Configuration -----------------------------------------------------------

const mistakes = {
  'an unknown key': ['[storage]\ndata = data\ndatta = x\n', /slipway\.ini:3:.*\[storage\] datta/],
  'an unknown section': ['[storage]\ndata = data\n[stoage]\nx = 1\n', /slipway\.ini:3:.*stoage/],
  'a bad size': ['[limits]\n\nmax_file_size = 12 parsecs\n', /slipway\.ini:3:.*max_file_size/],
  'a bad choice': ['[storage]\ndurability = sometimes\n', /slipway\.ini:2:.*durability.*power/],
  'a duration out of range': ['[upload]\nidle_timeout = 0\n', /slipway\.ini:2:.*idle_timeout/],
  'a key given twice': ['[log]\nlevel = info\nlevel = debug\n', /slipway\.ini:3:.*level/],
  'a line that is none': ['[log]\nlevel = info\nwhat is this\n', /slipway\.ini:3:/],
};

for (const [what, [text, pattern]] of Object.entries(mistakes)) {
  test(`${what} in slipway.ini ends every way to start`, async (t) => {
    const state = new Server({ config: fast });
    t.after(() => state.stop());
    fs.writeFileSync(iniOf(state), text);
    const socket = path.join(state.dir, 's.sock');
    for (const argv of [['config'], ['gc'], ['serve', '--socket', socket]]) {
      const run = await command(...argv, '--config', iniOf(state));
      assert.notEqual(run.code, 0, argv[0]);
      assert.match(run.stderr, pattern, argv[0]);
    }
    assert.ok(!fs.existsSync(socket));
    const answer = await cgi(iniOf(state), { path: '/status' });
    assert.equal(answer.status, 503);
    assert.match(answer.stderr, pattern, 'CGI');
  });
}

test('visitors are not told where a wrong configuration lies', async (t) => {
  const state = new Server({ config: fast });
  t.after(() => state.stop());
  fs.writeFileSync(iniOf(state), '[storage]\ndatta = x\n');
  const answer = await cgi(iniOf(state), { path: '/status' });
  assert.equal(answer.status, 503);
  assert.ok(!answer.body.includes(state.dir), answer.body.toString());
});

// --- Sockets -----------------------------------------------------------------

// Starts slipway serve on a socket. Gives {child, ended, stderr()}.
function serve(t, state, socket) {
  const child = spawn(binary, ['serve', '--socket', socket, '--config', iniOf(state)], {
    env: { PATH: process.env.PATH }, stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (data) => { stderr += data; });
  const ended = new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, ended, stderr: () => stderr };
}

const listens = (socket) => waitFor(`somebody to listen at ${socket}`, () => new Promise((resolve) => {
  const probe = net.connect(socket, () => { probe.destroy(); resolve(true); });
  probe.once('error', () => resolve(false));
}));

test('slipway serve makes a socket, and removes it at its end', async (t) => {
  const state = new Server({ config: fast });
  t.after(() => state.stop());
  const socket = path.join(state.dir, 's.sock');
  const first = serve(t, state, socket);
  await listens(socket);
  const stat = fs.statSync(socket);
  assert.ok(stat.isSocket());
  assert.equal(stat.mode & 0o777, 0o660);

  const second = serve(t, state, socket);
  assert.notEqual((await second.ended).code, 0, 'a live socket is not taken over');
  assert.match(second.stderr(), /serves this socket already/);
  await listens(socket);

  first.child.kill('SIGTERM');
  assert.equal((await first.ended).code, 0);
  assert.ok(!fs.existsSync(socket), 'the socket is removed');
});

test('slipway serve replaces a dead socket', async (t) => {
  const state = new Server({ config: fast });
  t.after(() => state.stop());
  const socket = path.join(state.dir, 's.sock');
  const first = serve(t, state, socket);
  await listens(socket);
  first.child.kill('SIGKILL');
  await first.ended;
  assert.ok(fs.existsSync(socket), 'a killed process leaves its socket');
  serve(t, state, socket);
  await listens(socket);
});

test('slipway serve leaves anything else at the path alone', async (t) => {
  const state = new Server({ config: fast });
  t.after(() => state.stop());
  const file = path.join(state.dir, 'file');
  fs.writeFileSync(file, 'precious');
  fs.symlinkSync(file, path.join(state.dir, 'link'));
  fs.mkdirSync(path.join(state.dir, 'directory'));
  for (const name of ['file', 'link', 'directory']) {
    const run = serve(t, state, path.join(state.dir, name));
    assert.notEqual((await run.ended).code, 0, name);
    assert.match(run.stderr(), /something else/, name);
  }
  assert.equal(fs.readFileSync(file, 'utf8'), 'precious');
  assert.ok(fs.lstatSync(path.join(state.dir, 'link')).isSymbolicLink());
});

// --- CGI ---------------------------------------------------------------------

test('CGI by hand', async (t) => {
  const state = new Server({ config: fast });
  t.after(() => state.stop());
  const ini = iniOf(state);

  await t.test('answers a GET', async () => {
    const answer = await cgi(ini, { path: '/status' });
    assert.equal(answer.status, 200);
    assert.equal(answer.code, 0);
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.equal(Number(answer.headers.get('content-length')), answer.body.length);
    assert.equal(json(answer).status, 'ok');
  });

  await t.test('does not look at its arguments', async () => {
    const socket = path.join(state.dir, 'never.sock');
    for (const argv of [['-h'], ['--version'], ['gc'], ['serve', '--socket', socket], ['--config', '/nowhere']]) {
      const answer = await cgi(ini, { path: '/status', argv });
      assert.equal(answer.status, 200, argv.join(' '));
      assert.equal(json(answer).status, 'ok', argv.join(' '));
    }
    assert.ok(!fs.existsSync(socket));
  });

  await t.test('stores an upload and gives it back', async () => {
    const answer = await cgi(ini, {
      method: 'PUT', path: '/upload/h%C3%A9llo.txt', headers: [acceptJson], body: 'hello',
    });
    assert.equal(answer.status, 201, answer.body.toString());
    const [file] = json(answer).files;
    assert.equal(file.name, 'héllo.txt');
    assert.equal(fs.readFileSync(path.join(state.uploads, file.id, file.name), 'utf8'), 'hello');
    assert.ok(file.download.startsWith('/cgi-bin/slipway/download/'));
    const back = await cgi(ini, { path: `/download/${file.id}` });
    assert.equal(back.status, 200);
    assert.equal(back.body.toString(), 'hello');
    const range = await cgi(ini, { path: `/download/${file.id}`, headers: [['Range', 'bytes=1-2']] });
    assert.equal(range.status, 206);
    assert.equal(range.body.toString(), 'el');
    const head = await cgi(ini, { method: 'HEAD', path: `/download/${file.id}` });
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    await checkStore(state);
  });

  await t.test('refuses a body shorter than announced', async () => {
    const before = await picture(state);
    const { type, body } = multipart([{ name: 'f', filename: 'f', data: 'text' }]);
    for (const request of [
      { method: 'PUT', path: '/upload/a', body: 'short', length: 10 },
      { method: 'PUT', path: '/upload/a', body: '', length: 10 },
      { method: 'POST', path: '/upload', headers: [['Content-Type', type]], body, length: body.length + 1 },
      { method: 'PUT', path: '/upload/a?upload_id=short-by-cgi', body: 'short', length: 10 },
    ]) {
      const answer = await cgi(ini, { ...request, headers: [...(request.headers ?? []), acceptJson] });
      const problem = isProblem(answer, 400, 'truncated');
      assert.ok(problem.detail.includes(String(request.length)));
    }
    await unchanged(state, before, 0);
  });

  await t.test('takes no more of its input than announced', async () => {
    const answer = await cgi(ini, {
      method: 'PUT', path: '/upload/a', headers: [acceptJson], body: 'hello, surplus', length: 5,
    });
    assert.equal(answer.status, 201);
    assert.equal(json(answer).files[0].size, 5);
    assert.equal(json(answer).files[0].sha256, sha256('hello'));
  });

  await t.test('refuses lengths that are none', async () => {
    const before = await picture(state);
    for (const length of ['12x', '-1', '+5', ' 5', '0x10', '99999999999999999999999', '5, 5']) {
      const answer = await cgi(ini, {
        method: 'PUT', path: '/upload/a', headers: [acceptJson], body: 'hello', length,
      });
      assert.equal(answer.status, 400, `${length}: ${answer.body}`);
    }
    await unchanged(state, before, 0);
  });

  await t.test('answers a large refused upload so that the answer arrives', async () => {
    const answer = await cgi(ini, {
      method: 'POST', path: '/upload', body: Buffer.alloc(5 * MIB),
      headers: [acceptJson, ['Content-Type', 'application/x-www-form-urlencoded']],
    });
    isProblem(answer, 415, 'unsupported');
  });

  await t.test('gives up a silent client', async () => {
    const text = fs.readFileSync(ini, 'utf8');
    fs.writeFileSync(ini, `${text}\n[upload]\nidle_timeout = 1\n`);
    const before = await picture(state);
    const run = startCgi(ini, { method: 'PUT', path: '/upload/a', headers: [acceptJson], length: 10 });
    run.stdin.write('hello');
    isProblem(await run.done, 408, 'timeout');
    await unchanged(state, before, 0);
    fs.writeFileSync(ini, text);
  });

  await t.test('killed in the middle, it leaves nothing once somebody looks', async () => {
    const before = await picture(state);
    for (const signal of ['SIGTERM', 'SIGKILL']) {
      const id = `killed_cgi_${signal}`;
      const run = startCgi(ini, { method: 'PUT', path: `/upload/a?upload_id=${id}`, length: 10 });
      run.done.catch(() => {});
      run.stdin.write('hello');
      const stateOf = async () => json(await cgi(ini, { path: `/progress/${id}` })).state;
      await waitFor('it to be receiving', async () => await stateOf() === 'receiving');
      run.child.kill(signal);
      await waitFor('the failure to show', async () => await stateOf() === 'failed');
      await unchanged(state, before, 0);
    }
  });

  await t.test('an empty method is not a crash', async () => {
    const answer = await cgi(ini, { method: '', path: '/status', headers: [acceptJson] });
    assert.equal(answer.status, 405);
    assert.equal(answer.code, 0);
  });

  await t.test('anonymous may do no more than allowed', async () => {
    fs.writeFileSync(ini, fs.readFileSync(ini, 'utf8').replace(everything['access.anonymous'], 'download'));
    isProblem(await cgi(ini, { method: 'PUT', path: '/upload/a', headers: [acceptJson], body: 'x' }), 403, 'forbidden');
  });
});
