// When slipway cannot write: disks that are full, and a database that another
// program holds.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import {
  acceptJson, ageHomes, checkStore, command, fast, iniOf, isProblem, multipart, picture, Sender,
  sha256, startCgi, unchanged,
} from '../lib/e2e.mjs';
import { PATIENCE, gathers, testsOf } from '../lib/every_server.mjs';
import { json } from '../lib/http.mjs';
import { apiBase, Server } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const MIB = 1 << 20;
const HELD_MS = 3000;

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
    const senders = gathers ? [] : [
      new Sender(server, { path: `${apiBase}/upload/put`, headers: [['Upload-Id', 'full-put']], length: 8 * MIB }),
      new Sender(server, {
        method: 'POST', path: `${apiBase}/upload?upload_id=full-form`, headers: [['Content-Type', type]],
        length: body.length,
      }),
    ];
    const bodies = [Buffer.alloc(8 * MIB), body];
    senders.forEach((sender, i) => sender.send(bodies[i].subarray(0, 64 * 1024)));
    await waitFor('both to be receiving',
      () => fs.readdirSync(server.incoming).length === senders.length);
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
    for (const id of gathers ? [] : ['full-put', 'full-form']) {
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
    assert.ok(Date.now() - started < PATIENCE, 'reading does not wait');
    await sleep(100);
  }
  await release();
  assert.equal((await late).status, 201);
  await sending;
  assert.equal((await sender.ended)?.status, 201);
  sender.close();
  await checkStore(server);
});
