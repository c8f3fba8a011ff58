// Uppy, FilePond and Dropzone in Chromium, with slipway behind a server and,
// where a connection has to break, a proxy of the test between them. The pages
// do what the documentation of each widget shows; all bytes are compared.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe } from 'node:test';

import { chromium } from 'playwright-core';

import {
  KIB, MIB, checkFile, checkGone, checkUploaded, content, contentFile, endAndCheck, named,
  offsetOf, onlyFile, tusHead, within,
} from '../lib/clients.mjs';
import { acceptJson, everything, multipart, random, seedOf, sha256 } from '../lib/e2e.mjs';
import { testsOf } from '../lib/every_server.mjs';
import { json } from '../lib/http.mjs';
import { Server, root } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
let browser;
let server;
let scratch;

// Stands between browser and server and breaks the requests that plan(request)
// names: 'refuse' before a byte of them went on, 'lose' the answer only, or
// after a number of bytes of the body. Every connection carries one request,
// so that the browser cannot repeat it by itself.
class Meddler {
  static async start(port) {
    const meddler = new Meddler();
    meddler.plan = () => null;
    meddler.deeds = [];
    meddler.server = http.createServer((request, response) => {
      meddler.#pass(port, request, response);
    });
    await new Promise((resolve) => meddler.server.listen(0, '127.0.0.1', resolve));
    meddler.port = meddler.server.address().port;
    return meddler;
  }

  // Breaks the n-th, counted from 0, of the requests that match, as deeds says.
  breaking(matches, deeds) {
    let count = 0;
    this.deeds = [];
    this.plan = (request) => (matches(request) ? deeds[count++] ?? null : null);
  }

  #pass(port, request, response) {
    const deed = this.plan(request);
    if (deed !== null) this.deeds.push(deed);
    if (deed === 'refuse') {
      request.socket.destroy();
      return;
    }
    const { method, url: target, headers } = request;
    const onward = http.request({
      host: '127.0.0.1', port, method, path: target, agent: false,
      headers: { ...headers, connection: 'close' },
    });
    onward.on('error', () => request.socket.destroy());
    response.on('close', () => onward.destroy());
    onward.on('response', (answer) => {
      if (deed === 'lose') {
        answer.resume().on('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode, { ...answer.headers, connection: 'close' });
      answer.pipe(response);
    });
    if (typeof deed === 'number') this.#cut(request, onward, deed);
    else request.pipe(onward);
  }

  #cut(request, onward, limit) {
    let passed = 0;
    request.on('data', (data) => {
      const part = data.subarray(0, limit - passed);
      passed += part.length;
      onward.write(part, () => {
        if (passed === limit) onward.destroy();
      });
      if (passed === limit) request.pause();
    });
    request.on('end', () => onward.end());
  }

  stop() {
    this.server.closeAllConnections?.();
    this.server.close();
  }
}

const page = (head, body) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>test</title>${head}${body}`;
const script = (file) => `<script src="/modules/${file}"></script>`;
const style = (file) => `<link rel="stylesheet" href="/modules/${file}">`;
const pages = {
  uppy: page(style('uppy/dist/uppy.min.css') + script('uppy/dist/uppy.min.js'),
    '<div id="target"></div>'),
  filepond: page(style('filepond/dist/filepond.css') + script('filepond/dist/filepond.js'),
    '<input type="file" id="target" multiple>'),
  dropzone: page(style('dropzone/dist/dropzone.css') + script('dropzone/dist/dropzone-min.js'),
    '<form id="target" class="dropzone"><input name="note" value="Größe &quot;XL&quot;"></form>'),
};

before(async () => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-widgets-'));
  fs.chmodSync(scratch, 0o755);
  const directory = path.join(scratch, 'pages');
  fs.mkdirSync(directory);
  for (const [name, text] of Object.entries(pages)) {
    fs.writeFileSync(path.join(directory, `${name}.html`), text);
  }
  server = await Server.start({
    config: { ...everything, 'upload.protocols': 'tus ietf filepond dropzone' },
    aliases: { '/modules/': path.join(root, 'tests/node_modules/'), '/pages/': `${directory}/` },
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
});

after(async () => {
  await browser?.close();
  await server?.stop();
  fs.rmSync(scratch, { recursive: true, force: true });
});

// Runs act with the page of a widget, in a browser context of its own. What
// the page throws fails the test.
async function withPage(name, act, { port = server.port } = {}) {
  const context = await browser.newContext({ viewport: { width: 480, height: 320 } });
  try {
    const opened = await context.newPage();
    const thrown = [];
    opened.on('pageerror', (error) => thrown.push(String(error)));
    opened.on('dialog', (dialog) => dialog.accept());
    await opened.goto(`http://127.0.0.1:${port}/pages/${name}.html`);
    await act(opened);
    assert.deepEqual(thrown, []);
  } finally {
    await context.close();
  }
}

// The same, with a meddler between browser and server, which act gets too.
async function withMeddler(name, act) {
  const meddler = await Meddler.start(server.port);
  try {
    await withPage(name, (opened) => act(opened, meddler), meddler);
  } finally {
    meddler.stop();
  }
}

async function throttle(opened, uploadThroughput) {
  const session = await opened.context().newCDPSession(opened);
  await session.send('Network.enable');
  const set = (rate) => session.send('Network.emulateNetworkConditions', {
    offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: rate,
  });
  await set(uploadThroughput);
  return () => set(-1);
}

// Counts the requests of a page that match, as they are sent.
function sent(opened, method, start = '/slipway/') {
  const urls = [];
  opened.on('request', (request) => {
    const { pathname, search } = new URL(request.url());
    if (request.method() === method && pathname.startsWith(start)) urls.push(pathname + search);
  });
  return urls;
}

// A file on disk, which the browser reads by itself.
const onDisk = (name, data) => contentFile(scratch, name, data);
const text = (name, data, metadata) => ({ name, data, type: 'text/plain', metadata });

describe('Uppy', { concurrency: 3 }, () => {
  const input = '.uppy-Dashboard-input';
  const press = (opened, label) =>
    opened.locator('.uppy-StatusBar').getByRole('button', { name: label, exact: true }).click();
  const start = (opened) => opened.locator('.uppy-StatusBar-actionBtn--upload').click();

  async function dashboard(opened, tus = {}) {
    await opened.evaluate((options) => {
      const { Uppy, Dashboard, Tus } = window.Uppy;
      window.uppy = new Uppy({ meta: { caption: 'süß' } })
        .use(Dashboard, { inline: true, target: '#target' })
        .use(Tus, { endpoint: `${window.location.origin}/slipway/upload`, ...options });
      window.outcome = new Promise((resolve) => {
        window.uppy.on('complete', ({ successful, failed }) => resolve({
          failed: failed.map(({ name, error }) => `${name}: ${error}`),
          urls: Object.fromEntries(successful.map((file) => [file.name, file.uploadURL])),
        }));
      });
    }, tus);
  }

  async function outcome(opened) {
    const { failed, urls } = await within(opened.evaluate(() => window.outcome), 'Uppy');
    assert.deepEqual(failed, []);
    return urls;
  }

  // How much of the upload has arrived, without stopping it as a HEAD would.
  async function arrived(url) {
    const id = new URL(url).pathname.split('/').at(-1);
    const answer = await server.request({ path: `/slipway/progress/${id}` });
    return answer.status === 200 ? json(answer).loaded : 0;
  }

  // The URL of the only upload under way, once bytes of it have arrived.
  function sending(opened, least = 256 * KIB) {
    return waitFor('bytes to arrive', async () => {
      const url = await opened.evaluate(() => window.uppy.getFiles()[0]?.tus?.uploadUrl);
      return url && await arrived(url) >= least && url;
    });
  }

  test('eight files at once from the Dashboard', () => withPage('uppy', async (opened) => {
    const files = [0, 1, 1000, 64 * KIB, 300_000, MIB, 5 * MIB + 1, 9 * MIB]
      .map((size, i) => text(`uppy ${i} ü😀.txt`, content(size, `uppy ${i}`), { caption: 'süß' }));
    await dashboard(opened);
    await opened.locator(input).first()
      .setInputFiles(files.map(({ name, data }) => onDisk(name, data)));
    await start(opened);
    const urls = await outcome(opened);
    for (const file of files) await checkUploaded(server, urls[file.name], file);
  }));

  for (const [kind, tus] of [['chunks', { chunkSize: 500_000 }],
    ['creations that carry data', { uploadDataDuringCreation: true }],
    ['POST in place of PATCH', { overridePatchMethod: true }],
    ['four parts', { parallelUploads: 4 }]]) {
    test(kind, () => withPage('uppy', async (opened) => {
      const file = text(`uppy ${kind}.txt`, content(3 * MIB + 7, kind), { caption: 'süß' });
      await dashboard(opened, tus);
      await opened.locator(input).first().setInputFiles(onDisk(file.name, file.data));
      await start(opened);
      const urls = await outcome(opened);
      await checkUploaded(server, urls[file.name], file);
      assert.equal((await onlyFile(server, file.name)).size, file.data.length);
    }));
  }

  test('paused, left alone, resumed; then paused five times in a row', () =>
    withPage('uppy', async (opened) => {
      const file = text('uppy paused.txt', content(6 * MIB, 'paused'), { caption: 'süß' });
      const fast = await throttle(opened, 2 * MIB);
      const posts = sent(opened, 'POST');
      const heads = sent(opened, 'HEAD');
      await dashboard(opened);
      await opened.locator(input).first().setInputFiles(onDisk(file.name, file.data));
      await start(opened);
      const url = await sending(opened);
      await press(opened, 'Pause');
      const paused = offsetOf(await tusHead(server, url));
      assert.ok(paused > 0 && paused < file.data.length, `${paused}`);
      await sleep(200);
      assert.equal(offsetOf(await tusHead(server, url)), paused);
      for (let i = 0; i < 5; i++) {
        await press(opened, 'Resume');
        if (i % 2) await sleep(100);
        await press(opened, 'Pause');
      }
      await press(opened, 'Resume');
      await fast();
      const urls = await outcome(opened);
      assert.equal(urls[file.name], url);
      assert.equal(posts.length, 1);
      assert.ok(heads.length >= 2);
      await checkUploaded(server, url, file);
    }));

  test('a reloaded page takes the upload up where it was', () =>
    withPage('uppy', async (opened) => {
      const file = text('uppy reloaded.txt', content(5 * MIB, 'reloaded'), { caption: 'süß' });
      const onDiskFile = onDisk(file.name, file.data);
      const posts = sent(opened, 'POST');
      const fast = await throttle(opened, 2 * MIB);
      await dashboard(opened);
      await opened.locator(input).first().setInputFiles(onDiskFile);
      await start(opened);
      const url = await sending(opened);
      await opened.reload();
      await fast();
      const kept = offsetOf(await tusHead(server, url));
      assert.ok(kept > 0 && kept < file.data.length, `${kept}`);
      const offsets = [];
      opened.on('request', (request) => {
        if (request.method() === 'PATCH') offsets.push(request.headers()['upload-offset']);
      });
      await dashboard(opened);
      await opened.locator(input).first().setInputFiles(onDiskFile);
      await start(opened);
      assert.equal((await outcome(opened))[file.name], url);
      assert.deepEqual(offsets, [String(kept)]);
      assert.equal(posts.length, 1);
      await checkUploaded(server, url, file);
    }));

  test('no network for a while', () => withPage('uppy', async (opened) => {
    const file = text('uppy offline.txt', content(5 * MIB, 'offline'), { caption: 'süß' });
    const fast = await throttle(opened, 2 * MIB);
    await dashboard(opened);
    await opened.locator(input).first().setInputFiles(onDisk(file.name, file.data));
    await start(opened);
    const url = await sending(opened);
    await opened.context().setOffline(true);
    await sleep(300);
    await opened.context().setOffline(false);
    await fast();
    assert.equal((await outcome(opened))[file.name], url);
    await checkUploaded(server, url, file);
  }));

  test('connections cut, requests refused and answers lost', () =>
    withMeddler('uppy', async (opened, meddler) => {
      const file = text('uppy cut.txt', content(4 * MIB, 'cut'), { caption: 'süß' });
      meddler.breaking((request) => ['PATCH', 'HEAD'].includes(request.method),
        [100_000, 'refuse', null, MIB, 'lose', null, 1, null, 'lose', null, 'refuse']);
      await dashboard(opened, { retryDelays: Array(12).fill(20), chunkSize: 2 * MIB });
      await opened.locator(input).first().setInputFiles(onDisk(file.name, file.data));
      await start(opened);
      const url = (await outcome(opened))[file.name];
      assert.ok(meddler.deeds.length >= 4, meddler.deeds.join());
      await checkUploaded(server, url, file);
      assert.equal((await named(server, file.name)).length, 1);
    }));

  test('cancelled, all at once and one by one', () => withPage('uppy', async (opened) => {
    await throttle(opened, MIB);
    await dashboard(opened);
    const deletions = sent(opened, 'DELETE');
    const files = ['uppy gone 1.txt', 'uppy gone 2.txt', 'uppy gone 3.txt'];
    await opened.locator(input).first().setInputFiles(
      files.map((name) => onDisk(name, content(8 * MIB, name))));
    await start(opened);
    const urls = await waitFor('three uploads', async () => {
      const found = await opened.evaluate(() =>
        window.uppy.getFiles().map(({ tus }) => tus?.uploadUrl).filter(Boolean));
      return found.length === 3 && found;
    });
    await opened.evaluate(() => window.uppy.removeFile(window.uppy.getFiles()[0].id));
    await waitFor('the first to be gone', async () =>
      (await tusHead(server, urls[0])).status === 410);
    await press(opened, 'Cancel');
    await waitFor('three deletions', () => deletions.length === 3);
    for (const url of urls) {
      await waitFor('an upload to be gone', async () => (await tusHead(server, url)).status === 410);
      await checkGone(server, url);
    }
    for (const name of files) assert.deepEqual(await named(server, name), []);
  }));
});

describe('FilePond', { concurrency: 3 }, () => {
  async function pond(opened, options = {}, files = []) {
    await opened.evaluate(([given, sources]) => {
      window.processed = [];
      window.pond = window.FilePond.create(document.querySelector('#target'), {
        server: '/slipway/filepond', chunkRetryDelays: [20, 20, 20], allowRevert: true,
        onprocessfile: (error, file) => window.processed.push(
          { error: error && JSON.stringify(error), name: file.filename, id: file.serverId }),
        ...given, files: sources,
      });
    }, [options, files]);
  }

  const choose = (opened, files) => opened.locator('.filepond--browser').setInputFiles(
    files.map(({ name, data }) => onDisk(name, data)));

  async function processed(opened, count) {
    await waitFor('the files to be processed', async () =>
      await opened.evaluate(() => window.processed.length) >= count, { timeout: 15000 });
    const all = await opened.evaluate(() => window.processed);
    for (const { error, id } of all) {
      assert.equal(error, null);
      assert.match(id, /^[A-Za-z0-9_-]{8,64}$/);
    }
    return all;
  }

  // The file on the server, which must be whole, in one copy.
  async function check(file) {
    const { url } = await onlyFile(server, file.name);
    return checkFile(server, url, file);
  }

  test('plain, several files, ids in the form', () => withPage('filepond', async (opened) => {
    const files = [0, 5, 200_000, 7 * MIB].map((size, i) =>
      text(`pond ${i} é😀.txt`, content(size, `pond ${i}`)));
    await pond(opened, { maxParallelUploads: 4 });
    await choose(opened, files);
    const all = await processed(opened, files.length);
    for (const file of files) await check(file);
    const values = await opened.locator('input[type=hidden][name=filepond]')
      .evaluateAll((fields) => fields.map(({ value }) => value));
    assert.deepEqual(values.sort(), all.map(({ id }) => id).sort());
  }));

  test('chunks, an empty last one where the size is a multiple', () =>
    withPage('filepond', async (opened) => {
      const size = 64 * KIB;
      const files = [10, size, 4 * size, 16 * size + 11].map((bytes) =>
        text(`pond ${bytes} ñ😀.txt`, content(bytes, `pond ${bytes}`)));
      const patches = sent(opened, 'PATCH');
      await pond(opened, { chunkUploads: true, chunkForce: true, chunkSize: size });
      await choose(opened, files);
      const all = await processed(opened, files.length);
      for (const file of files) {
        const { id } = all.find(({ name }) => name === file.name);
        assert.equal(patches.filter((url) => url === `/slipway/filepond?patch=${id}`).length,
          Math.floor(file.data.length / size) + 1);
        await check(file);
      }
    }));

  test('chunks whose request or answer is lost are sent again', () =>
    withMeddler('filepond', async (opened, meddler) => {
      const file = text('pond lost.txt', content(5 * 64 * KIB + 9, 'pond lost'));
      meddler.breaking((request) => request.method === 'PATCH',
        [null, 'lose', null, 'refuse', null, 30_000, null, 'lose', null, 'lose', 'lose']);
      await pond(opened, { chunkUploads: true, chunkSize: 64 * KIB });
      await choose(opened, [file]);
      await processed(opened, 1);
      assert.ok(meddler.deeds.length >= 5, meddler.deeds.join());
      await check(file);
    }));

  test('aborted in the middle of a chunk and taken up again', () =>
    withPage('filepond', async (opened) => {
      const file = text('pond abort.txt', content(3 * MIB, 'pond abort'));
      const fast = await throttle(opened, MIB);
      const heads = sent(opened, 'HEAD');
      await pond(opened, { chunkUploads: true, chunkSize: MIB });
      const patches = sent(opened, 'PATCH');
      await choose(opened, [file]);
      await waitFor('the second chunk', () => patches.length === 2, { timeout: 10000 });
      await sleep(400);
      await opened.evaluate(() => window.pond.getFiles()[0].abortProcessing());
      await fast();
      const answer = opened.waitForResponse((response) => response.request().method() === 'HEAD');
      await opened.evaluate(() => { window.pond.processFile().catch(() => {}); });
      assert.equal((await answer).headers()['upload-offset'], String(MIB));
      await processed(opened, 1);
      assert.equal(heads.length, 1);
      await check(file);
    }));

  for (const chunkUploads of [false, true]) {
    const kind = chunkUploads ? 'in chunks' : 'plain';

    test(`metadata, ${kind}`, () => withPage('filepond', async (opened) => {
      const file = text(`pond metadata ${kind}.txt`, content(200_000, 'metadata'),
        { album: 'été "1"', empty: '' });
      await pond(opened, { chunkUploads, chunkSize: 64 * KIB, instantUpload: false });
      await choose(opened, [file]);
      await waitFor('the file', () => opened.evaluate(() => window.pond.getFiles().length === 1));
      await opened.evaluate((metadata) => {
        for (const [key, value] of Object.entries(metadata)) {
          window.pond.getFile().setMetadata(key, value);
        }
        window.pond.processFile().catch(() => {});
      }, file.metadata);
      await processed(opened, 1);
      await check(file);
    }));

    test(`reverted, ${kind}`, () => withPage('filepond', async (opened) => {
      const deletions = sent(opened, 'DELETE');
      const file = text(`pond revert ${kind}.txt`, content(200_000, 'revert'));
      await pond(opened, { chunkUploads, chunkSize: 64 * KIB });
      await choose(opened, [file]);
      await processed(opened, 1);
      const { url } = await check(file);
      await opened.locator('.filepond--action-revert-item-processing').click({ timeout: 10000 });
      await waitFor('the file to be gone', async () =>
        (await named(server, file.name)).length === 0);
      assert.notEqual((await server.request({ path: url })).status, 200);
      assert.deepEqual(deletions, ['/slipway/filepond']);
    }));
  }

  test('restored and loaded into another page', async () => {
    const file = text('pond "load" ü.txt'.replaceAll('"', '’'), content(300_000, 'load'));
    let id;
    await withPage('filepond', async (opened) => {
      await pond(opened, { chunkUploads: true, chunkSize: 64 * KIB });
      await choose(opened, [file]);
      [{ id }] = await processed(opened, 1);
    });
    for (const type of ['limbo', 'local']) {
      await withPage('filepond', async (opened) => {
        await pond(opened, {}, [{ source: id, options: { type } }]);
        const loaded = await waitFor(`the file as ${type}`, () => opened.evaluate(async () => {
          const [item] = window.pond.getFiles();
          if (!item?.file?.size) return null;
          const hash = await crypto.subtle.digest('SHA-256', await item.file.arrayBuffer());
          const hex = [...new Uint8Array(hash)].map((b) => b.toString(16).padStart(2, '0'));
          return { name: item.filename, id: item.serverId, hash: hex.join('') };
        }));
        assert.deepEqual(loaded, { name: file.name, id, hash: sha256(file.data) });
      });
    }
    await check(file);
  });
});

describe('Dropzone', { concurrency: 3 }, () => {
  async function dropzone(opened, options = {}) {
    await opened.evaluate((given) => {
      const tell = { done: [], failed: [], answers: [] };
      window.tell = tell;
      window.zone = new window.Dropzone('#target', {
        url: '/slipway/dropzone', maxFilesize: null, ...given,
      });
      window.zone.on('success', (file, answer) => tell.done.push({ name: file.name, answer }));
      window.zone.on('error', (file, message) =>
        tell.failed.push(`${file.name}: ${JSON.stringify(message)}`));
      window.zone.on('sending', (file, xhr) => xhr.addEventListener('load', () => {
        tell.answers.push(`${xhr.status} ${xhr.responseText}`);
      }));
    }, options);
  }

  const choose = (opened, files) => opened.locator('.dz-hidden-input').setInputFiles(
    files.map(({ name, data }) => onDisk(name, data)));

  // What the page knows once all files are up.
  async function told(opened, count) {
    await waitFor('the files to be up', async () => {
      const { done, failed } = await opened.evaluate(() => window.tell);
      return done.length + failed.length >= count;
    }, { timeout: 15000 });
    const all = await opened.evaluate(() => window.tell);
    assert.deepEqual(all.failed, []);
    return all;
  }

  const note = { note: 'Größe "XL"' };

  // The file must be whole, in one copy, and one answer must have named it.
  async function check(file, { answers }) {
    const { url } = await onlyFile(server, file.name);
    const telling = answers.filter((answer) => answer.includes(url));
    assert.ok(telling.length >= 1, `no answer named ${url}`);
    for (const answer of answers) assert.match(answer, /^20[01] \{"files":\[/);
    return checkFile(server, url, { ...file, metadata: note });
  }

  test('whole files', () => withPage('dropzone', async (opened) => {
    const files = [1, 1000, 3 * MIB].map((size, i) =>
      text(`zone ${i} ß😀.txt`, content(size, `zone ${i}`)));
    await dropzone(opened, { parallelUploads: 3 });
    await choose(opened, files);
    const all = await told(opened, files.length);
    for (const file of files) await check(file, all);
    for (const { name, answer } of all.done) assert.equal(answer.files[0].name, name);
  }));

  for (const [kind, size, options] of [
    ['one after the other', 10 * 64 * KIB + 1, {}],
    ['a full last chunk', 10 * 64 * KIB, {}],
    ['one byte in a chunk', 1, { forceChunking: true }],
    ['none in a chunk', 0, { forceChunking: true }],
    ['four at once', 40 * 64 * KIB + 100, { parallelChunkUploads: 4, parallelUploads: 4 }],
    ['as many as there are', 30 * 64 * KIB, { parallelChunkUploads: 30 }],
  ]) {
    test(`chunks, ${kind}`, () => withPage('dropzone', async (opened) => {
      const file = text(`zone ${kind} ß.txt`, content(size, kind));
      await dropzone(opened, { chunking: true, chunkSize: 64 * KIB, ...options });
      await choose(opened, [file]);
      const all = await told(opened, 1);
      assert.equal(all.answers.length, Math.max(1, Math.ceil(size / (64 * KIB))));
      await check(file, all);
    }));
  }

  test('four files in parallel chunks at once', () => withPage('dropzone', async (opened) => {
    const files = ['a', 'b', 'c', 'd'].map((name) =>
      text(`zone many ${name}.txt`, content(12 * 64 * KIB + 5, name)));
    await dropzone(opened,
      { chunking: true, chunkSize: 64 * KIB, parallelChunkUploads: 3, parallelUploads: 4 });
    await choose(opened, files);
    const all = await told(opened, 4);
    for (const file of files) await check(file, all);
  }));

  for (const parallelChunkUploads of [false, 4]) {
    test(`chunks that are cut or whose answer is lost, parallel: ${parallelChunkUploads}`, () =>
      withMeddler('dropzone', async (opened, meddler) => {
        const file = text(`zone lost ${parallelChunkUploads}.txt`,
          content(8 * 64 * KIB + 3, `lost ${parallelChunkUploads}`));
        meddler.breaking((request) => request.method === 'POST',
          [null, 'lose', null, 30_000, null, 'refuse', null, null, 2000, 'lose', null, 'lose',
            'lose', 'lose']);
        await dropzone(opened, {
          chunking: true, chunkSize: 64 * KIB, retryChunks: true, retryChunksLimit: 9,
          parallelChunkUploads,
        });
        await choose(opened, [file]);
        const all = await told(opened, 1);
        assert.ok(meddler.deeds.length >= 7, meddler.deeds.join());
        await check(file, all);
      }));
  }

  test('every chunk twice at the same time, in any order', async () => {
    const size = 64 * KIB;
    const file = text('zone twice.txt', content(12 * size + 77, 'zone twice'), note);
    const rand = random(seedOf());
    const order = [...Array(26).keys()].map((i) => ({ index: i % 13, at: rand() }))
      .sort((a, b) => a.at - b.at);
    const answers = await Promise.all(order.map(({ index }) => {
      const data = file.data.subarray(index * size, (index + 1) * size);
      const fields = {
        dzuuid: 'b2a1c5b4-0f3e-4d6a-9c1d-5a1f1c5b7e11', dzchunkindex: index,
        dztotalfilesize: file.data.length, dzchunksize: size, dztotalchunkcount: 13,
        dzchunkbyteoffset: index * size, ...note,
      };
      const { type, body } = multipart([
        ...Object.entries(fields).map(([name, value]) => ({ name, value: String(value) })),
        { name: 'file', filename: file.name, data }]);
      return server.request({
        method: 'POST', path: '/slipway/dropzone', headers: [['Content-Type', type], acceptJson],
        body,
      });
    }));
    // A newer request takes a chunk over from an older one that is not done.
    for (let i = 0; i < 13; i++) {
      const twins = answers.filter((_, n) => order[n].index === i).map(({ status }) => status);
      assert.ok(twins.some((status) => status !== 423), `chunk ${i}: ${twins}`);
    }
    const told = answers.filter(({ status }) => status !== 423)
      .map((answer) => `${answer.status} ${answer.body}`
        .replace(/\s+/g, ' ').replace('{ "files": [', '{"files":['));
    await check(file, { answers: told });
  });

  test('a chunk whose time is over is refused, not forgotten', async (t) => {
    const own = await Server.start({ config: { ...everything, 'upload.protocols': 'dropzone' } });
    t.after(() => own.stop());
    const uuid = '0c7d4b6e-2f3a-4c5d-8e9f-aabbccddeeff';
    const send = () => {
      const fields = {
        dzuuid: uuid, dzchunkindex: 1, dztotalfilesize: 12, dzchunksize: 4, dztotalchunkcount: 3,
        dzchunkbyteoffset: 4,
      };
      const { type, body } = multipart([
        ...Object.entries(fields).map(([name, value]) => ({ name, value: String(value) })),
        { name: 'file', filename: 'late.txt', data: 'late' }]);
      return own.request({
        method: 'POST', path: '/slipway/dropzone', headers: [['Content-Type', type], acceptJson], body,
      });
    };
    assert.equal((await send()).status, 200);
    assert.equal((await send()).status, 200, 'once more');
    execFileSync('sqlite3', ['-cmd', '.timeout 5000', own.database,
      `UPDATE upload SET updated_at = 0 WHERE id = 'dz-${uuid}-1'`]);
    assert.equal((await send()).status, 410);
  });

  test('a refusal is shown', () => withPage('dropzone', async (opened) => {
    await dropzone(opened, { url: '/slipway/dropzone?upload_id=short' });
    await choose(opened, [text('zone refused.txt', content(10, 'refused'))]);
    await waitFor('the refusal', () => opened.evaluate(() => window.tell.failed.length === 1));
    assert.deepEqual(await named(server, 'zone refused.txt'), []);
  }));
});

test('the dialects are off unless switched on', async () => {
  const plain = await Server.start({ config: everything });
  try {
    for (const target of ['/slipway/filepond', '/slipway/dropzone']) {
      const answer = await plain.request({ method: 'POST', path: target, body: 'x' });
      assert.equal(answer.status, 404, target);
    }
  } finally {
    await plain.stop();
  }
});

test('nothing unfinished is left, and every file is whole', async () => {
  const rows = await endAndCheck(server);
  server = null;
  assert.ok(rows.length > 25);
});
