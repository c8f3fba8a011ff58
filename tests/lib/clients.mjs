// What the tests of other people's upload clients share: contents that are
// the same in every run, and the proof that a file arrived whole.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { acceptJson, checkStore, sha256 } from './e2e.mjs';
import { json } from './http.mjs';
import * as sqlite from './sqlite.mjs';
import { waitFor } from './wait.mjs';

export const KIB = 1024;
export const MIB = 1024 * KIB;

// size bytes that repeat nowhere and are another's under another seed.
export function content(size, seed) {
  const key = crypto.createHash('sha256').update(seed).digest().subarray(0, 16);
  const cipher = crypto.createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return cipher.update(Buffer.alloc(size));
}

// The same as a file below dir. Gives its path.
export function contentFile(dir, name, data) {
  const file = path.join(dir, name);
  fs.writeFileSync(file, data);
  return file;
}

export const pathOf = (url) => new URL(url, 'http://localhost').pathname;

export const tusHead = (server, url) => server.request({
  method: 'HEAD', path: pathOf(url), headers: [['Tus-Resumable', '1.0.0']],
});

export const offsetOf = (answer) => Number(answer.headers.get('upload-offset') ?? NaN);

// Throws unless the file at a static URL has these bytes for a reader and on
// disk, and the API describes it so. Gives what the API says.
export async function checkFile(server, url, { data, name, type, metadata = {} }) {
  const digest = sha256(data);
  const [, prefix, id, ...rest] = pathOf(url).split('/');
  assert.equal(prefix, '_upload', url);
  const { status, body } = await server.request({ path: pathOf(url) });
  assert.equal(status, 200, url);
  assert.equal(body.length, data.length, `size of ${url}`);
  assert.equal(sha256(body), digest, `content of ${url}`);
  const disk = path.join(server.uploads, id, ...rest.map(decodeURIComponent));
  assert.equal(sha256(fs.readFileSync(disk)), digest, disk);

  const described = await server.request({ path: `/slipway/files/${id}`, headers: [acceptJson] });
  assert.equal(described.status, 200, described.body.toString());
  const file = json(described);
  assert.equal(file.sha256, digest);
  assert.equal(file.size, data.length);
  assert.equal(file.name, name);
  assert.equal(file.type, type);
  assert.equal(file.url, pathOf(url));
  assert.deepEqual(file.metadata, metadata);
  return file;
}

// The same, of a finished upload resource, that must lead to the file and go
// on telling that it is whole.
export async function checkUploaded(server, url, expected) {
  const answer = await server.request({ path: pathOf(url) });
  assert.equal(answer.status, 303, answer.body.toString());
  const head = await tusHead(server, url);
  assert.equal(head.status, 200);
  assert.equal(offsetOf(head), expected.data.length);
  assert.equal(head.headers.get('upload-length'), String(expected.data.length));
  assert.equal(head.headers.get('cache-control'), 'no-store');
  assert.equal(head.headers.get('upload-expires'), undefined);
  return checkFile(server, answer.headers.get('location'), expected);
}

// Throws unless the upload is gone for good.
export async function checkGone(server, url) {
  for (const method of ['HEAD', 'GET', 'DELETE']) {
    const answer = await server.request({
      method, path: pathOf(url), headers: [['Tus-Resumable', '1.0.0']],
    });
    assert.equal(answer.status, 410, `${method} ${url}`);
    assert.equal(answer.headers.has('upload-offset'), false, method);
  }
}

// What promise gives, unless that takes longer than a client should.
export async function within(promise, what, timeout = 20000) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeout} ms for ${what}`)), timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// The files the API lists under a name.
export async function named(server, name) {
  const answer = await server.request({
    path: `/slipway/files?limit=1000&name=${encodeURIComponent(name)}`, headers: [acceptJson],
  });
  return json(answer).files;
}

// The one file of that name.
export async function onlyFile(server, name) {
  const files = await named(server, name);
  assert.equal(files.length, 1, `${files.length} files called ${name}`);
  return files[0];
}

// Ends the server in order, then looks for anything that is not whole.
export async function endAndCheck(server) {
  const unfinished = () => sqlite.query(server.database,
    "SELECT id, name, received, total FROM upload WHERE state IN ('receiving', 'publishing')");
  await waitFor('uploads to end', async () => (await unfinished()).length === 0)
    .catch(async () => assert.deepEqual(await unfinished(), []));
  await waitFor('incoming to be empty', () => fs.readdirSync(server.incoming).length === 0);
  await server.stop({ keep: true });
  try {
    assert.deepEqual(server.crashes(), []);
    return await checkStore(server);
  } finally {
    await server.stop();
  }
}
