// Full disks, damaged and foreign databases, wrong configurations, sockets in
// the way, restarts under load, and CGI by hand.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import {
  acceptJson, ageHomes, checkStore, cgi, command, everything, fast, iniOf, isProblem, multipart,
  picture, Sender, sha256, startCgi, unchanged,
} from '../lib/e2e.mjs';
import { json } from '../lib/http.mjs';
import { apiBase, binary, Server } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const MIB = 1 << 20;
const HELD_MS = 3000;

// --- Disks -------------------------------------------------------------------

// Runs body with a server whose state is on a tmpfs with these mount options.
async function onSmallDisk(t, options, config, body) {
  if (process.getuid() !== 0) {
    t.skip('mounting a small tmpfs needs root');
    return;
  }
  const disk = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'slipway-test', disk], { stdio: 'pipe' });
  } catch (error) {
    fs.rmdirSync(disk);
    t.skip(`no tmpfs can be mounted here: ${error.stderr}`);
    return;
  }
  let server;
  try {
    server = await Server.start({
      config: {
        ...fast, 'storage.data': path.join(disk, 'data'),
        'uploads.directory': path.join(disk, 'uploads'), ...config,
      },
    });
    server.data = path.join(disk, 'data');
    server.database = path.join(server.data, 'slipway.db');
    server.incoming = path.join(server.data, 'incoming');
    server.uploads = path.join(disk, 'uploads');
    await body(server, disk);
    assert.deepEqual(server.crashes(), []);
  } finally {
    await server?.stop();
    execFileSync('umount', [disk]);
    fs.rmdirSync(disk);
  }
}

const putTo = (server, name, body, headers = []) => server.request({
  method: 'PUT', path: `${apiBase}/upload/${name}`, headers: [acceptJson, ...headers], body,
});

async function stored(server, name, body) {
  const answer = await putTo(server, name, body);
  assert.equal(answer.status, 201, answer.body.toString());
  return json(answer).files[0];
}

async function downloads(server, file, content) {
  const answer = await server.request({ path: file.download });
  assert.equal(answer.status, 200, answer.body.toString());
  assert.equal(sha256(answer.body), sha256(content));
}

// Takes all space that is left on the disk; the file to remove is returned.
function fill(disk) {
  const filler = path.join(disk, 'filler');
  const fd = fs.openSync(filler, 'w');
  let size = MIB;
  while (size >= 1) {
    try {
      if (fs.writeSync(fd, Buffer.alloc(size)) < size) size = Math.floor(size / 2);
    } catch (error) {
      assert.equal(error.code, 'ENOSPC');
      size = Math.floor(size / 2);
    }
  }
  fs.closeSync(fd);
  return filler;
}

test('a full disk refuses uploads, keeps downloads, and recovers', async (t) => {
  await onSmallDisk(t, 'size=24m', { 'storage.min_free_space': '0' }, async (server, disk) => {
    const content = Buffer.alloc(4 * MIB, 'kept');
    const kept = await stored(server, 'kept.bin', content);
    let before = await picture(server);

    isProblem(await putTo(server, 'big', Buffer.alloc(30 * MIB)), 507, 'no-space');
    await unchanged(server, before);

    // The space goes while the bytes come.
    const { type, body } = multipart([{ name: 'f', filename: 'f', data: Buffer.alloc(8 * MIB) }]);
    const senders = [
      new Sender(server, { path: `${apiBase}/upload/put`, headers: [['Upload-Id', 'full-put']], length: 8 * MIB }),
      new Sender(server, {
        method: 'POST', path: `${apiBase}/upload?upload_id=full-form`, headers: [['Content-Type', type]],
        length: body.length,
      }),
    ];
    const bodies = [Buffer.alloc(8 * MIB), body];
    senders.forEach((sender, i) => sender.send(bodies[i].subarray(0, 64 * 1024)));
    await waitFor('both to be receiving', () => fs.readdirSync(server.incoming).length === 2);
    const filler = fill(disk);
    senders.forEach((sender, i) => sender.send(bodies[i].subarray(64 * 1024)));
    for (const sender of senders) isProblem(await sender.ended, 507, 'no-space');
    before = await picture(server);
    assert.deepEqual(before.incoming, [], 'nothing stays in incoming');
    assert.equal(before.uploads.length, 1);

    await downloads(server, kept, content);
    isProblem(await putTo(server, 'small', 'x'.repeat(1000000)), 507, 'no-space');
    assert.equal((await server.request({ path: `${apiBase}/status` })).status, 200);
    assert.equal((await server.request({ path: `${apiBase}/files` })).status, 200);
    await downloads(server, kept, content);
    await unchanged(server, before);

    fs.unlinkSync(filler);
    const again = await stored(server, 'again.bin', content);
    await downloads(server, again, content);
    for (const id of ['full-put', 'full-form']) {
      await waitFor(`${id} to have failed`, async () => json(
        await server.request({ path: `${apiBase}/progress/${id}` })).state === 'failed');
    }
    ageHomes(server);
    await command('gc', '--config', iniOf(server));
    await checkStore(server);
  });
});

// The space ends at each step of storing: some of the rows can be written down
// and others cannot.
test('wherever the space ends, a refused upload is not visible', async (t) => {
  await onSmallDisk(t, 'size=8m', { 'storage.min_free_space': '0' }, async (server, disk) => {
    await stored(server, 'first', 'x');
    const seen = [];
    for (let pages = 0, status = 0; status !== 201; pages++) {
      const before = await picture(server);
      const filler = fill(disk);
      fs.truncateSync(filler, fs.statSync(filler).size - pages * 4096);
      const answer = await putTo(server, 'second', 'y');
      ({ status } = answer);
      const after = await picture(server);
      seen.push(`${pages}: ${status}, ${after.uploads.length - before.uploads.length} visible`);
      fs.unlinkSync(filler);
      assert.ok(pages < 100, 'it fits at last');
    }
    t.diagnostic(seen.join('; '));
    assert.deepEqual(seen.filter((text) => /507, [^0]/.test(text)), []);
    ageHomes(server);
    await command('gc', '--config', iniOf(server));
    assert.equal((await checkStore(server)).length, 2);
  });
});

// So full that not even the failure can be written down.
test('progress answers while the disk is full', async (t) => {
  await onSmallDisk(t, 'size=24m', { 'storage.min_free_space': '0' }, async (server, disk) => {
    const sender = new Sender(server, {
      path: `${apiBase}/upload/put`, headers: [['Upload-Id', 'while-full']], length: 8 * MIB,
    });
    const state = () => server.request({ path: `${apiBase}/progress/while-full` });
    await waitFor('it to be receiving', async () => (await state()).status === 200);
    const filler = fill(disk);
    await sender.send(Buffer.alloc(8 * MIB));
    isProblem(await sender.ended, 507, 'no-space');
    const end = Date.now() + 4000; // longer than a live session is silent
    let answer;
    while (Date.now() < end) {
      answer = await state();
      assert.equal(answer.status, 200, `progress on a full disk: ${answer.body}`);
      await sleep(500);
    }
    assert.equal(json(answer).state, 'failed');
    fs.unlinkSync(filler);
    assert.equal(json(await state()).state, 'failed');
    await unchanged(server, { uploads: [], incoming: [], rows: 0 });
  });
});

test('files can be deleted from a full disk', async (t) => {
  await onSmallDisk(t, 'size=24m', { 'storage.min_free_space': '0' }, async (server, disk) => {
    const file = await stored(server, 'big.bin', Buffer.alloc(4 * MIB));
    const filler = fill(disk);
    const answer = await server.request({ method: 'DELETE', path: file.delete });
    if (answer.status !== 204) isProblem(answer, 507, 'no-space');
    t.diagnostic(`DELETE on a full disk answers ${answer.status}`);
    fs.unlinkSync(filler);
    const now = await server.request({ method: 'DELETE', path: file.delete });
    assert.ok([204, 404].includes(now.status), String(now.status));
    await checkStore(server);
    assert.deepEqual(fs.readdirSync(server.uploads), []);
  });
});

test('the reserve of free space is kept, and named', async (t) => {
  await onSmallDisk(t, 'size=24m', { 'storage.min_free_space': '16M' }, async (server) => {
    await stored(server, 'small', Buffer.alloc(MIB));
    const before = await picture(server);
    const { type, body } = multipart([{ name: 'f', filename: 'f', data: Buffer.alloc(12 * MIB) }]);
    const answers = [
      await putTo(server, 'big', Buffer.alloc(12 * MIB)),
      await server.request({
        method: 'POST', path: `${apiBase}/upload`, headers: [acceptJson, ['Content-Type', type]], body,
      }),
    ];
    // The length is not known before the end.
    const open = startCgi(iniOf(server), { method: 'PUT', path: '/upload/open', headers: [acceptJson] });
    open.stdin.end(Buffer.alloc(20 * MIB));
    answers.push(await open.done);
    for (const answer of answers) {
      const problem = isProblem(answer, 507, 'no-space');
      assert.equal(problem.limit, 'min_free_space');
      assert.equal(problem.limit_value, 16 * MIB);
    }
    await unchanged(server, before);
    await stored(server, 'small', Buffer.alloc(MIB));
  });
});

test('without inodes uploads are refused, and recover', async (t) => {
  await onSmallDisk(t, 'size=24m,nr_inodes=64', { 'storage.min_free_space': '0' }, async (server) => {
    const files = [];
    let answer;
    while ((answer = await putTo(server, `f${files.length}`, 'text')).status === 201) {
      files.push(json(answer).files[0]);
      assert.ok(files.length < 64, 'the disk has no more inodes');
    }
    isProblem(answer, 507, 'no-space');
    for (const file of files.splice(-4)) {
      assert.equal((await server.request({ method: 'DELETE', path: file.delete })).status, 204);
    }
    const before = await picture(server);
    const { type, body } = multipart(Array.from({ length: 10 }, (_, i) => (
      { name: 'f', filename: `form${i}`, data: 'text' })));
    isProblem(await server.request({
      method: 'POST', path: `${apiBase}/upload`, headers: [acceptJson, ['Content-Type', type]], body,
    }), 507, 'no-space');
    await unchanged(server, before);
    await downloads(server, files[0], 'text');
    await stored(server, 'again', 'text');
    await checkStore(server);
  });
});

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

// Another program, a backup for example, that holds the database for a while.
async function holdDatabase(t, state) {
  const holder = spawn('sqlite3', [state.database], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => holder.kill());
  holder.stdin.write("BEGIN IMMEDIATE; SELECT 'held';\n");
  await new Promise((resolve) => {
    holder.stdout.once('data', resolve);
  });
  return () => new Promise((resolve) => {
    holder.once('close', resolve);
    holder.stdin.end('COMMIT;\n');
  });
}

test('a database that is held for a while only delays uploads', async (t) => {
  const server = await Server.start({ config: fast });
  t.after(() => server.stop());
  const sender = new Sender(server, {
    path: `${apiBase}/upload/slow`, headers: [['Upload-Id', 'while-held']], length: 10000,
  });
  const sending = sender.trickle(Buffer.alloc(10000), 500, 100);
  await waitFor('it to be receiving', async () => (
    await server.request({ path: `${apiBase}/progress/while-held` })).status === 200);
  const file = await stored(server, 'before', 'before');
  const release = await holdDatabase(t, server);
  const late = putTo(server, 'late', 'late');
  const end = Date.now() + HELD_MS;
  while (Date.now() < end) {
    const started = Date.now();
    await downloads(server, file, 'before');
    assert.equal((await server.request({ path: `${apiBase}/status` })).status, 200);
    assert.ok(Date.now() - started < 1000, 'reading does not wait');
    await sleep(100);
  }
  await release();
  assert.equal((await late).status, 201);
  await sending;
  assert.equal((await sender.ended)?.status, 201);
  sender.close();
  await checkStore(server);
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

// --- Restarts ----------------------------------------------------------------

const exists = (pid) => fs.existsSync(`/proc/${pid}`);

test('SIGTERM during uploads: all end in time, nothing stays', async (t) => {
  const server = await Server.start({ config: fast });
  t.after(() => server.stop());
  const before = await picture(server);
  const [worker] = server.workers();
  const { type, body } = multipart([{ name: 'f', filename: 'f', data: Buffer.alloc(100000) }]);
  const slow = [
    new Sender(server, { path: `${apiBase}/upload/a`, headers: [['Upload-Id', 'sigterm-put']], length: 100000 }),
    new Sender(server, {
      method: 'POST', path: `${apiBase}/upload?upload_id=sigterm-form`, headers: [['Content-Type', type]],
      length: body.length,
    }),
  ];
  const quick = new Sender(server, { path: `${apiBase}/upload/b`, length: 10000 });
  const sending = [slow[0].trickle(Buffer.alloc(100000), 100, 50), slow[1].trickle(body, 100, 50)];
  const quickly = quick.trickle(Buffer.alloc(10000), 500, 50); // about a second
  await waitFor('all to be receiving', () => fs.readdirSync(server.incoming).length === 3);

  const started = Date.now();
  process.kill(worker, 'SIGTERM');
  await waitFor('the process to leave', () => !exists(worker), { timeout: 8000 });
  t.diagnostic(`the process left after ${Date.now() - started} ms`);
  await quickly;
  const finished = await quick.ended;
  assert.equal(finished?.status, 201, 'an upload that ends soon is answered');
  for (const sender of slow) {
    const answer = await sender.ended;
    assert.ok(sender.endedAt - started < 8000, 'the sender waits no longer than the process');
    t.diagnostic(`a slow sender got ${answer ? answer.status : 'a closed connection'}`);
    if (answer) assert.equal(answer.status, 503, answer.body.toString());
  }
  await Promise.all(sending);
  const [file] = json(finished).files;
  await unchanged(server, {
    uploads: [...before.uploads, file.id], incoming: before.incoming, rows: before.rows + 1,
  });
  await waitFor('the next process', async () => (
    await server.request({ path: `${apiBase}/status` })).status === 200);
  for (const id of ['sigterm-put', 'sigterm-form']) {
    const state = json(await server.request({ path: `${apiBase}/progress/${id}` }));
    assert.equal(state.state, 'failed');
  }
  [...slow, quick].forEach((sender) => sender.close());
});

test('SIGTERM without work: the process leaves at once', async (t) => {
  const server = await Server.start({ config: fast });
  t.after(() => server.stop());
  const [worker] = server.workers();
  process.kill(worker, 'SIGTERM');
  await waitFor('the process to leave', () => !exists(worker), { timeout: 1000 });
});

test('a new executable takes over without a failed request', async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-bin-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const bin = path.join(dir, 'slipway');
  fs.copyFileSync(binary, bin);
  const server = await Server.start({ config: fast, bin });
  t.after(() => server.stop());
  const [old] = server.workers();
  let over = false;
  const statuses = [];
  const load = async (name) => {
    while (!over) {
      const answer = await putTo(server, name, 'light load').catch(() => null);
      statuses.push(answer?.status ?? 'closed');
      await sleep(25);
    }
  };
  const loads = [load('a'), load('b')];
  fs.copyFileSync(binary, `${bin}.new`);
  fs.renameSync(`${bin}.new`, bin);
  await waitFor('the new process', () => {
    const workers = server.workers();
    return !exists(old) && workers.length === 1 && workers[0] !== old;
  }, { timeout: 10000 });
  await waitFor('an answer of the new process', async () => (
    await server.request({ path: `${apiBase}/status` })).status === 200);
  over = true;
  await Promise.all(loads);
  const failed = statuses.filter((status) => status !== 201);
  t.diagnostic(`${statuses.length} requests, failed: ${JSON.stringify(failed)}`);
  await checkStore(server);
  assert.deepEqual(failed, []);
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
