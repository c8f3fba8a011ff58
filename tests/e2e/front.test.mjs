// What depends on the front server: SLIPWAY_SERVER names it. Every server is
// held to what README.md says of it, to nothing staying of clients that leave,
// to right downloads when it sends them itself, and to doing nothing with the
// files of strangers but sending them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { acceptJson, fast, multipart, picture, Sender, sha256, unchanged } from '../lib/e2e.mjs';
import { gathers, testsOf } from '../lib/every_server.mjs';
import { concerns, exceptions, ofFeature } from '../lib/exceptions.mjs';
import { features } from '../lib/features.mjs';
import { json } from '../lib/http.mjs';
import { alive } from '../lib/processes.mjs';
import { apiBase, filesBelow, root, Server } from '../lib/server.mjs';
import { localRedirect, servers, standard } from '../lib/servers.mjs';
import { inserted } from '../lib/table.mjs';
import { waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);

// As the owner of a site is told to set it up.
const usual = { ...fast, ...servers[standard].config };
const server = await Server.start({ config: usual });
test.after(() => server.stop());

const put = (to, name, body) => to.request({
  method: 'PUT', path: `${apiBase}/upload/${encodeURIComponent(name)}`, headers: [acceptJson], body,
});

const stored = async (to, name, body) => json(await put(to, name, body)).files[0];

for (const { name, best, probe, config } of features) {
  test(`${name}: as README.md says`, async (t) => {
    let subject = server;
    if (config) {
      subject = await Server.start({ config: { ...usual, ...config } });
      t.after(() => subject.stop());
    }
    assert.equal(await probe(subject), ofFeature(standard, name)?.seen ?? best);
  });
}

test('README.md has the table of these features', () => {
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
  assert.equal(inserted(readme), readme, 'run scripts/server-table.mjs');
});

test('every exception is about a server, and a feature or file that there are', () => {
  for (const exception of exceptions) {
    assert.ok(Object.keys(servers).some((name) => concerns(exception, name)), exception.why);
    for (const file of Object.keys(exception.tests ?? {})) {
      assert.ok(fs.existsSync(path.join(root, 'tests/e2e', file)), file);
    }
    if (!exception.feature) continue;
    assert.ok(features.some(({ name }) => name === exception.feature), exception.feature);
  }
});

test('of clients that leave in the middle nothing stays', async () => {
  const before = await picture(server);
  const senders = [1, 1000, 100000, 900000].flatMap((sent) => [undefined, 1000000].map((length) => {
    const sender = new Sender(server, { path: `${apiBase}/upload/gone`, length });
    sender.send(Buffer.alloc(sent));
    return sender;
  }));
  await waitFor('some to be received', () => gathers || fs.readdirSync(server.incoming).length > 0);
  senders.forEach((sender) => sender.close());
  await unchanged(server, before, 4000);
});

test('twenty slow uploads do not hold up others', async () => {
  const data = Buffer.alloc(40000, 'slow');
  const senders = Array.from({ length: 20 }, () => {
    const sender = new Sender(server, { path: `${apiBase}/upload/slow`, length: data.length });
    return { sender, sending: sender.trickle(data, 2000, 100) };
  });
  for (let i = 0; i < 5; i++) {
    const started = Date.now();
    const file = await stored(server, `fast${i}`, `content ${i}`);
    assert.equal(file.sha256, sha256(`content ${i}`));
    assert.ok(Date.now() - started < 3000, `it took ${Date.now() - started} ms`);
  }
  for (const { sender, sending } of senders) {
    await sending;
    assert.equal(json(await sender.ended).files[0].sha256, sha256(data));
    sender.close();
  }
});

// The ways in which this server can send downloads.
const ways = standard === 'apache-fcgid'
  ? [servers[standard].config, localRedirect] : [servers[standard].config];

for (const config of ways) {
  const way = config['download.offload'];
  const names = ['plain.txt', 'two words.html', 'größe 漢字.bin', '100% #1?.png', 'a+b&c;d.svg'];

  test(`${way}: files are whole under every name, with all their headers`, async (t) => {
    const subject = await Server.start({ config: { ...fast, ...config } });
    t.after(() => subject.stop());
    for (const name of names) {
      const file = await stored(subject, name, `content of ${name}`);
      for (const url of [file.download, file.url]) {
        const answer = await subject.request({ path: url });
        assert.equal(answer.status, 200, `${name} at ${url}: ${answer.body}`);
        assert.equal(answer.body.toString(), `content of ${name}`);
        assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
        assert.match(answer.headers.get('content-security-policy'), /^sandbox;[^,]*$/);
        for (const inner of ['x-sendfile', 'x-accel-redirect', 'location']) {
          assert.equal(answer.headers.get(inner), undefined, inner);
        }
      }
      const { headers } = await subject.request({ path: file.download });
      assert.match(headers.get('content-disposition'), /^attachment; filename=[^,]*$/);
      assert.equal(headers.get('accept-ranges'), 'bytes');
      assert.equal(headers.get('repr-digest'),
        `sha-256=:${Buffer.from(file.sha256, 'hex').toString('base64')}:`);
    }
  });

  test(`${way}: ranges and conditions`, async (t) => {
    const subject = await Server.start({ config: { ...fast, ...config } });
    t.after(() => subject.stop());
    const { download } = await stored(subject, 'r.txt', '0123456789');
    const get = (...headers) => subject.request({ path: download, headers });
    // Apache's own tag is weak while the file is new.
    const etag = await waitFor('a strong tag', async () => {
      const { headers } = await get();
      return headers.get('etag').startsWith('"') && headers.get('etag');
    });
    const head = await subject.request({ method: 'HEAD', path: download });
    const slipways = head.headers.get('etag');
    const part = await get(['Range', 'bytes=2-4']);
    assert.deepEqual([part.status, part.body.toString(), part.headers.get('content-range')],
      [206, '234', 'bytes 2-4/10']);
    assert.equal((await get(['Range', 'bytes=10-'])).status, 416);
    assert.equal((await get(['Range', 'bytes=2-4'], ['If-Range', etag])).status, 206);
    assert.equal((await get(['Range', 'bytes=2-4'], ['If-Range', '"other"'])).status, 200);
    assert.equal((await get(['If-None-Match', etag])).status, 304);
    assert.equal((await get(['If-None-Match', slipways])).status, 304);
    assert.equal((await get(['If-Match', slipways])).status, 200);
    assert.equal((await get(['If-Match', '"other"'])).status, 412);
    assert.equal((await get(['If-Modified-Since', head.headers.get('last-modified')])).status, 304);
    assert.equal(
      (await get(['If-Unmodified-Since', head.headers.get('last-modified')])).status, 200);
  });
}

// Files as no upload could make them, but a mistake of the owner could.
test('nothing in the uploads is run, interpreted, listed or followed', async () => {
  const at = (name) => path.join(server.uploads, 'odd', name);
  const get = (name, method = 'GET') => server.request({ method, path: `/_upload/odd/${name}` });
  const script = '#!/bin/sh\necho Content-Type: text/plain\necho\necho run\n';
  fs.mkdirSync(at('inner'), { recursive: true });
  for (const name of ['x.cgi', 'x.php', 'x.fcgi', 'x.shtml', 'x.var', 'x.html.gz', 'x.unknown']) {
    fs.writeFileSync(at(name), script, { mode: 0o755 });
    const answer = await get(name);
    assert.equal(answer.body.toString(), script, name);
    assert.equal(answer.headers.get('content-disposition'), 'attachment', name);
    assert.equal(answer.headers.get('content-encoding'), undefined, name);
    assert.match(answer.headers.get('content-security-policy'), /^sandbox/, name);
  }
  for (const behind of ['/', '/y.pdf', '//y.pdf', '%2fy.pdf', '/y.txt']) {
    const { status, body } = await get(`x.shtml${behind}`);
    assert.ok([400, 403, 404].includes(status), `x.shtml${behind}: ${status} ${body}`);
  }
  assert.equal((await get('x.unknown')).headers.get('content-type'), 'application/octet-stream');
  fs.writeFileSync(at('.htaccess'), 'Options +Indexes +FollowSymLinks +ExecCGI\nForceType text/html\n');
  fs.writeFileSync(at('secret'), 'secret');
  fs.symlinkSync('/etc/passwd', at('link'));
  fs.symlinkSync('/etc', at('directory'));
  for (const name of ['link', 'directory/passwd', 'directory/', 'inner/', 'inner', '']) {
    const answer = await get(name);
    assert.ok([301, 403, 404].includes(answer.status), `${name}: ${answer.status}`);
    assert.doesNotMatch(answer.body.toString(), /root:|secret/, name);
  }
  for (const method of ['PUT', 'DELETE', 'MKCOL', 'PROPFIND']) {
    const { status } = await get('secret', method);
    assert.ok([403, 404, 405, 501].includes(status), `${method}: ${status}`);
    assert.equal(fs.readFileSync(at('secret'), 'utf8'), 'secret');
  }
  fs.rmSync(at(''), { recursive: true });
});

test('the way that is for the server alone is closed to clients', async () => {
  const { url } = await stored(server, 'x', 'x');
  const answer = await server.request({ path: url.replace('/_upload/', '/_slipway/') });
  assert.equal(answer.status, 404);
});

// The block at the end of nginx-example.conf, at a path of its own.
const named = `
location ~ ^/named(/|$) {
    fastcgi_pass slipway;
    client_body_in_file_only clean;
    fastcgi_pass_request_body off;
    client_max_body_size 0;
    fastcgi_split_path_info ^(/named)(/.*)?$;
    fastcgi_param SLIPWAY_BODY_FILE $request_body_file;
    fastcgi_param SCRIPT_NAME $fastcgi_script_name;
    fastcgi_param PATH_INFO $fastcgi_path_info;
    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param QUERY_STRING $query_string;
    fastcgi_param CONTENT_TYPE $content_type;
    fastcgi_param CONTENT_LENGTH $content_length;
}`;

test('nginx: a body that is left in a file becomes the file', { skip: standard !== 'nginx' }, async (t) => {
  const subject = await Server.start({
    config: { ...usual, 'server.body_files': 'spool/body' }, extra: named,
  });
  t.after(() => subject.stop());
  const data = Buffer.alloc(300000, 'named');
  for (const length of [undefined, 'none']) {
    const answer = await subject.request({
      method: 'PUT', path: '/named/upload/n.bin', headers: [acceptJson], body: data, length,
    });
    assert.equal(answer.status, 201, answer.body.toString());
    const [file] = json(answer).files;
    assert.equal(file.sha256, sha256(data));
    assert.ok((await subject.request({ path: file.url })).body.equals(data));
  }
  const { body, type } = multipart([{ name: 'f', filename: 'f.txt', data: 'in a form' }]);
  const form = await subject.request({
    method: 'POST', path: '/named/upload', headers: [acceptJson, ['Content-Type', type]], body,
  });
  assert.equal(form.status, 201, form.body.toString());
  const cut = new Sender(subject, { path: '/named/upload/cut', length: data.length });
  await cut.send(data.subarray(0, 100000));
  cut.close();
  await waitFor('no body to stay', () => filesBelow(path.join(subject.dir, 'spool')).length === 0);
  assert.doesNotMatch(subject.log(), /\[(crit|alert|emerg)\]/);
});

test('the server and slipway end in order', async () => {
  await stored(server, 'last', 'x');
  assert.deepEqual(server.crashes(), []);
  const workers = server.workers();
  await server.stop();
  assert.deepEqual(workers.filter(alive), []);
});
