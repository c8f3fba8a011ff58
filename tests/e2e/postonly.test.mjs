// A host that lets nothing through but GET and POST of forms, in pieces of less
// than 128 KiB: Apache with mod_fcgid as it comes, and the rules of a usual
// application firewall. A client that knows nothing of that finds a size that
// fits, and its upload arrives whole.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import test from 'node:test';

import { multipart, sha256 } from '../lib/e2e.mjs';
import { json } from '../lib/http.mjs';
import { SharedHost } from '../lib/shared_host.mjs';

// OWASP's core rules: methods, content types and header fields.
const firewall = `
RewriteEngine On
RewriteCond %{REQUEST_METHOD} !^(GET|HEAD|POST|OPTIONS)$
RewriteRule ^ - [F]
RewriteCond %{HTTP:Content-Type} !^$
RewriteCond %{HTTP:Content-Type} !^(multipart/form-data|application/x-www-form-urlencoded|text/xml|application/json)
RewriteRule ^ - [F]
RewriteCond %{HTTP:X-HTTP-Method-Override}%{HTTP:Content-Range}%{HTTP:Content-Encoding}%{HTTP:If} .
RewriteRule ^ - [F]
`;

const host = await SharedHost.start({
  programs: ['slipway.fcgi'], extra: firewall,
  ini: '[storage]\ndurability = process\n[access]\nanonymous = upload download list\n',
});
test.after(() => host.stop());

const api = '/slipway/slipway.fcgi';

function post(id, fields, data) {
  const parts = Object.entries(fields).map(([name, value]) => ({ name, value: String(value) }));
  if (data) parts.push({ name: 'file', filename: 'blob.bin', data });
  const { type, body } = multipart(parts);
  return host.request({
    method: 'POST', path: `${api}/upload/${id}`, body,
    headers: [['Content-Type', type], ['Accept', 'application/json']],
  });
}

// Sends data in pieces, larger ones as long as they get through. Gives the last
// answer and how often a piece was too large.
async function upload(id, data, fields = {}) {
  let size = 64 * 1024;
  let most = Infinity;
  let refused = 0;
  let state = { offset: 0, state: 'receiving' };
  while (state.state === 'receiving') {
    const piece = data.subarray(state.offset, state.offset + size);
    const answer = await post(id, { ...fields, offset: state.offset, size: data.length }, piece);
    if (answer.status === 200) {
      state = json(answer);
      size = Math.min(size * 2, most);
    } else {
      assert.ok(answer.status >= 500, `${answer.status}: ${answer.body}`);
      refused += 1;
      most = size *= 0.75;
      assert.ok(size > 1000, 'nothing fits');
    }
  }
  return { state, refused };
}

test('the firewall stops what it is to stop', async () => {
  for (const [method, type] of [['PUT', 'multipart/form-data'], ['PATCH', 'text/xml'],
    ['DELETE', 'text/xml'], ['POST', 'application/offset+octet-stream']]) {
    const answer = await host.request({
      method, path: `${api}/upload/whatever-it-is`, headers: [['Content-Type', type]], body: 'x',
    });
    assert.equal(answer.status, 403, `${method} ${type}`);
  }
});

test('a megabyte in pieces that fit', async () => {
  const data = crypto.randomBytes(1 << 20);
  const { state, refused } = await upload('a-random-id-0001', data, { title: 'Grüße' });
  assert.equal(state.state, 'stored');
  assert.ok(refused > 0, 'mod_fcgid refuses bodies over 128 KiB');
  const [file] = state.files;
  assert.equal(file.sha256, sha256(data));
  assert.equal(file.name, 'blob.bin');
  const got = await host.request({ path: file.url });
  assert.equal(sha256(got.body), sha256(data));
  const details = json(await host.request({ path: `${api}/files/${file.id}` }));
  assert.deepEqual(details.metadata, { title: 'Grüße' });
});

test('where it is, after answers that were lost', async () => {
  const id = 'a-random-id-0002';
  const data = crypto.randomBytes(200000);
  await post(id, { offset: 0, size: data.length }, data.subarray(0, 90000));
  const again = await post(id, { offset: 0, size: data.length }, data.subarray(0, 90000));
  assert.equal(again.status, 409);
  assert.equal(json(again)['expected-offset'], 90000);
  const status = json(await post(id, { action: 'status' }));
  assert.deepEqual([status.state, status.offset, status.total], ['receiving', 90000, 200000]);
  await post(id, { offset: 90000, size: data.length }, data.subarray(90000, 190000));
  const last = json(await post(id, { offset: 190000, size: data.length }, data.subarray(190000)));
  assert.equal(last.files[0].sha256, sha256(data));
  const repeated = json(await post(id, { action: 'status' }));
  assert.equal(repeated.files[0].id, last.files[0].id);
});

test('eight at once, and one that is cancelled', async () => {
  const uploads = Array.from({ length: 8 }, (_, i) => crypto.randomBytes(150000 + i));
  const results = await Promise.all(uploads.map((data, i) => upload(`at-once-${i}`, data)));
  results.forEach(({ state }, i) => assert.equal(state.files[0].sha256, sha256(uploads[i])));
  await post('to-be-cancelled', { offset: 0, size: 100 }, Buffer.from('some'));
  assert.equal(json(await post('to-be-cancelled', { action: 'cancel' })).state, 'cancelled');
  assert.equal((await post('to-be-cancelled', { offset: 4, size: 100 }, Buffer.from('more'))).status, 410);
});

test('OPTIONS and status say what is allowed', async () => {
  const status = json(await host.request({ path: `${api}/status` }));
  assert.ok(status.protocols.includes('form'));
  assert.equal(status.limits.max_file_size, 16 * 2 ** 30);
  const options = await host.request({ method: 'OPTIONS', path: `${api}/upload` });
  assert.equal(options.status, 204);
  assert.match(options.headers.get('upload-limit'), /max-size=17179869184/);
});
