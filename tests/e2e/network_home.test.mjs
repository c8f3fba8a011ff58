// Homes on file systems where a write-ahead log cannot be trusted: network
// ones, of which this machine pretends to have one, and FUSE.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { acceptJson, cgi, checkStore, command, fast, iniOf, sha256 } from '../lib/e2e.mjs';
import { json } from '../lib/http.mjs';
import { binary, root, Server } from '../lib/server.mjs';
import * as sqlite from '../lib/sqlite.mjs';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-network-'));
const onNetwork = path.join(scratch, 'slipway'); // slipway that takes all for NFS

test.before(() => {
  const library = path.join(scratch, 'nfs.so');
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, path.join(root, 'tests/lib/nfs.c')]);
  fs.writeFileSync(onNetwork, `#!/bin/sh\nLD_PRELOAD=${library} exec ${path.resolve(binary)} "$@"\n`, { mode: 0o755 });
});
test.after(() => fs.rmSync(scratch, { recursive: true, force: true }));

const journalOf = (file) => sqlite.value(file, 'PRAGMA journal_mode');

// A test file as a process of its own, with another slipway.
function suite(file, pattern) {
  const env = { ...process.env, SLIPWAY_BIN: onNetwork };
  delete env.NODE_TEST_CONTEXT;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--test', `--test-name-pattern=${pattern}`,
      path.join(root, 'tests/e2e', file)], { env });
    let out = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => { out += data; });
    child.once('close', (code) => resolve({ code, out }));
  });
}

// With few descriptors there are none left for the journal: that test counts
// on a log.
test('many clients at once, with a rollback journal', async () => {
  const { code, out } = await suite('parallel.test.mjs', '/^(?!with few|<root>)/');
  assert.equal(code, 0, out);
});

test('the journal follows the file system, and is logged once', async (t) => {
  const state = new Server({ config: fast });
  t.after(() => state.stop());
  const run = (bin, options) => cgi(iniOf(state), { ...options, bin, headers: [acceptJson] });
  const put = (bin, name) => run(bin, { method: 'PUT', path: `/upload/${name}`, body: name });
  const first = await put(onNetwork, 'a');
  assert.equal(first.status, 201);
  assert.match(first.stderr, /rollback journal: the file system may be a network's/);
  assert.equal(await journalOf(state.database), 'delete');
  const second = await put(onNetwork, 'b');
  assert.equal(second.status, 201);
  assert.doesNotMatch(second.stderr, /journal/);
  // The home moves to a local disk, and back.
  assert.equal((await put(binary, 'c')).status, 201);
  assert.equal(await journalOf(state.database), 'wal');
  const back = await put(onNetwork, 'd');
  assert.equal(back.status, 201, back.stderr);
  assert.match(back.stderr, /rollback journal/);
  assert.equal(await journalOf(state.database), 'delete');
  assert.equal((await checkStore(state)).length, 4);
});

// A directory on a real FUSE file system, or null and the reason.
function fuse(t) {
  const [below, mount] = ['below', 'mount'].map((name) => path.join(scratch, name));
  for (const dir of [below, mount]) fs.mkdirSync(dir);
  const done = spawnSync('bindfs', [below, mount], { timeout: 10000 });
  if (done.error || done.status !== 0) {
    t.skip(`no FUSE here: ${done.error?.message ?? done.stderr}`);
    return null;
  }
  t.after(() => {
    if (spawnSync('fusermount', ['-u', mount]).status !== 0) spawnSync('umount', ['-l', mount]);
  });
  return mount;
}

test('many processes at once on a FUSE file system', async (t) => {
  const mount = fuse(t);
  if (!mount) return;
  const ini = path.join(mount, 'slipway.ini');
  fs.writeFileSync(ini, '[access]\nanonymous = upload list\n');
  const jobs = Array.from({ length: 30 }, async (_, i) => {
    const body = crypto.randomBytes(5000 + i);
    if (i % 3 === 0) {
      const list = await cgi(ini, { path: '/files', headers: [acceptJson] });
      assert.equal(list.status, 200, list.stderr);
      return;
    }
    const answer = await cgi(ini, { method: 'PUT', path: `/upload/f${i}`, headers: [acceptJson], body });
    assert.equal(answer.status, 201, answer.stderr);
    assert.equal(json(answer).files[0].sha256, sha256(body));
  });
  await Promise.all(jobs);
  const database = path.join(mount, 'data/slipway.db');
  assert.equal(await journalOf(database), 'delete');
  await sqlite.integrity(database);
  assert.equal(await sqlite.value(database, "SELECT count(*) FROM file WHERE state = 'stored'"), 20);
  assert.equal((await command('gc', '--config', ini)).code, 0);
});
