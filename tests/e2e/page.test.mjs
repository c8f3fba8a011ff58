// The page in Chromium, with slipway behind a server: what a person does with
// it, with and without script. Everything that a page writes to the console,
// throws, or does against its policy fails the test it happens in.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';

import { chromium } from 'playwright-core';

import { testsOf } from '../lib/every_server.mjs';
import { json, request } from '../lib/http.mjs';
import { Server, filesBelow } from '../lib/server.mjs';
import { waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const MIB = 1024 * 1024;
const everything = { 'access.anonymous': 'upload download list delete' };
let browser;
let server;
let limited;
let scratch;

before(async () => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-page-'));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  server = await Server.start({ config: everything });
  limited = await Server.start({ config: { ...everything, 'limits.max_file_size': '1M' } });
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await limited?.stop();
  fs.rmSync(scratch, { recursive: true, force: true });
});

const payload = (name, content) =>
  ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });
// A file on disk: the browser reads it itself, as it does for a person.
function filled(name, size) {
  const file = path.join(scratch, name);
  fs.writeFileSync(file, '');
  fs.truncateSync(file, size);
  return file;
}

const row = (page, name) => page.locator('#transfers .row', { hasText: name });
const stored = (page, name) => page.locator('#stored .row', { hasText: name });
const inState = (page, state) => page.locator(`#transfers [data-state=${state}]`);
const isShown = (locator) => locator.waitFor({ timeout: 10000 });

async function list(on, query) {
  const headers = [['Accept', 'application/json']];
  return json(await on.request({ path: `/slipway/files?${query}`, headers })).files;
}

async function removeAll(on) {
  for (const file of await list(on, 'limit=1000')) {
    await on.request({ method: 'DELETE', path: file.delete });
  }
}

// The complaints of a page. Chromium also logs every refused request; those
// lines count only where no refusal belongs to the test.
async function watch(page, { refusals }) {
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('console', (message) => {
    if (refusals && message.text().startsWith('Failed to load resource')) return;
    complaints.push(message.text());
  });
  await page.exposeFunction('tellViolation', (text) => complaints.push(text));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      window.tellViolation(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  return complaints;
}

// Runs act with the page of an emptied server in a browser context of its own.
async function withPage(act, { on = server, refusals = false, script = true, ...context } = {}) {
  await removeAll(on);
  const own = await browser.newContext({ javaScriptEnabled: script, ...context });
  try {
    const page = await own.newPage();
    const complaints = script ? await watch(page, { refusals }) : [];
    await page.goto(`http://127.0.0.1:${on.port}/`);
    await act(page);
    assert.deepEqual(complaints, []);
  } finally {
    await own.close();
  }
}

async function slowDown(page, { uploadThroughput = -1, latency = 0 }) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', {
    offline: false, latency, downloadThroughput: -1, uploadThroughput,
  });
}

// The ids that the page gives its uploads, in order.
function uploadIds(page) {
  const ids = [];
  page.on('request', (sent) => {
    if (sent.url().endsWith('/slipway/upload')) ids.push(sent.headers()['upload-id']);
  });
  return ids;
}

async function progress(on, id) {
  return json(await on.request({ path: `/slipway/progress/${id}` }));
}

async function bytesAt(page, href) {
  const { port } = new URL(page.url());
  const answer = await request(port, { path: new URL(href, page.url()).pathname });
  return { status: answer.status, text: answer.body.toString('utf8') };
}

test('two files go up and are listed, with links that work', () => withPage(async (page) => {
  const ids = uploadIds(page);
  await isShown(page.getByText('Nothing is stored yet.'));
  await isShown(page.getByText('At most 16 GiB per file.'));
  await page.getByLabel('Note').fill('from the attic');
  await page.setInputFiles('#files', [payload('one.txt', 'first'), payload('two.txt', 'second')]);

  await waitFor('both stored', async () => await inState(page, 'stored').count() === 2);
  for (const name of ['one.txt', 'two.txt']) {
    const bar = page.getByRole('progressbar', { name: `Progress of ${name}` });
    assert.equal(await bar.evaluate((e) => e.value), 1);
    await isShown(stored(page, name).getByText('from the attic'));
  }
  const link = stored(page, 'one.txt').getByRole('link', { name: 'one.txt', exact: true });
  const download = page.getByRole('link', { name: 'Download two.txt' });
  assert.deepEqual(await bytesAt(page, await link.getAttribute('href')),
    { status: 200, text: 'first' });
  assert.deepEqual(await bytesAt(page, await download.getAttribute('href')),
    { status: 200, text: 'second' });
  assert.equal(await page.locator('#empty').isVisible(), false);
  assert.equal(new Set(ids).size, 2);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);

  await page.reload();
  await isShown(stored(page, 'one.txt').getByText('from the attic'));
  assert.equal(await stored(page, '').count(), 2);
}));

test('the page works by keyboard and takes dropped files', () => withPage(async (page) => {
  const chooser = page.waitForEvent('filechooser', { timeout: 10000 });
  await isShown(page.getByText('Nothing is stored yet.'));
  await page.getByLabel('Note').focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await (await chooser).setFiles([payload('typed.txt', 'typed')]);
  await isShown(stored(page, 'typed.txt'));

  const dataTransfer = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(['a'], 'dropped-a.txt'));
    transfer.items.add(new File([''], 'dropped-empty.txt'));
    return transfer;
  });
  await page.dispatchEvent('#zone', 'dragover', { dataTransfer });
  assert.equal(await page.locator('#zone.over').count(), 1);
  await page.dispatchEvent('#zone', 'drop', { dataTransfer });
  assert.equal(await page.locator('#zone.over').count(), 0);
  await isShown(stored(page, 'dropped-a.txt'));
  await isShown(stored(page, 'dropped-empty.txt').getByText('0 B', { exact: true }));

  await page.getByRole('button', { name: 'Clear ended' }).click();
  assert.equal(await page.locator('#transfers-part').isVisible(), false);
}));

test('a sent file is finishing, below 100 %, until the answer comes', () =>
  withPage(async (page) => {
    await slowDown(page, { latency: 1500 });
    await page.setInputFiles('#files', [payload('sent.txt', 'sent')]);
    await isShown(inState(page, 'finishing'));
    const bar = page.getByRole('progressbar', { name: 'Progress of sent.txt' });
    assert.equal(await bar.evaluate((e) => e.value), 0.99);
    assert.equal(await row(page, 'sent.txt').locator('.state').textContent(), 'Finishing…');
    await isShown(inState(page, 'stored'));
    assert.equal(await bar.evaluate((e) => e.value), 1);
  }));

test('a file is cancelled while it is being sent, and nothing of it stays', () =>
  withPage(async (page) => {
    const ids = uploadIds(page);
    await slowDown(page, { uploadThroughput: 256 * 1024 });
    await page.setInputFiles('#files', [filled('large.bin', 24 * MIB)]);
    await waitFor('bytes to arrive', async () => (await progress(server, ids[0])).loaded > 0);
    assert.equal(filesBelow(server.incoming).length > 0, true);
    assert.match(await row(page, 'large.bin').locator('.state').textContent(), /^\d+ %$/);

    const button = page.getByRole('button', { name: 'Cancel large.bin' });
    await button.focus();
    await button.press('Enter');
    await isShown(inState(page, 'cancelled'));
    assert.equal((await progress(server, ids[0])).state, 'cancelled');
    assert.deepEqual(filesBelow(server.uploads), []);
    assert.deepEqual(filesBelow(server.incoming), []);
    const focused = await page.evaluate(() => document.activeElement.ariaLabel);
    assert.equal(focused, 'Retry large.bin');
    assert.match(await page.getByRole('status').textContent(), /large\.bin: Cancelled/);
  }));

test('three files at a time; cancelling makes room for the next', () => withPage(async (page) => {
  await slowDown(page, { uploadThroughput: 128 * 1024 });
  const names = ['a.bin', 'b.bin', 'c.bin', 'd.bin', 'e.bin'];
  await page.setInputFiles('#files', names.map((name) => filled(name, 8 * MIB)));
  await waitFor('a queue', async () => await inState(page, 'waiting').count() === 2);
  assert.equal(await inState(page, 'sending').count(), 3);

  await page.getByRole('button', { name: 'Cancel e.bin' }).click();
  await page.getByRole('button', { name: 'Cancel a.bin' }).click();
  await waitFor('two cancelled', async () => await inState(page, 'cancelled').count() === 2);
  assert.equal(await row(page, 'd.bin').getAttribute('data-state'), 'sending');
  for (const name of ['b.bin', 'c.bin', 'd.bin']) {
    await page.getByRole('button', { name: `Cancel ${name}` }).click();
  }
  await waitFor('all cancelled', async () => await inState(page, 'cancelled').count() === 5);
  await waitFor('nothing to be left', () => filesBelow(server.incoming).length === 0);
  assert.deepEqual(filesBelow(server.uploads), []);
}, { refusals: true }));

test('a file over the limit is not sent', () => withPage(async (page) => {
  const ids = uploadIds(page);
  await isShown(page.getByText('At most 1 MiB per file.'));
  await page.setInputFiles('#files', [filled('big.bin', MIB + 1), filled('fits.bin', MIB)]);
  await isShown(stored(page, 'fits.bin'));
  const problem = row(page, 'big.bin').locator('.problem');
  assert.equal(await problem.textContent(),
    'File too large. Nothing was sent. Limit: max_file_size, 1 MiB.');
  assert.equal(await page.getByRole('button', { name: 'Retry big.bin' }).isVisible(), false);
  assert.equal(ids.length, 1);
}, { on: limited }));

for (const size of [MIB + 1, 40 * MIB]) {
  test(`the server refuses ${size} bytes that the page let through`, () =>
    withPage(async (page) => {
      await page.route('**/slipway/status', (route) => route.fulfill({ json: { limits: {} } }));
      await page.reload();
      await isShown(page.getByText('Files of any size.'));
      await page.setInputFiles('#files', [filled('big.bin', size)]);
      await isShown(inState(page, 'failed'));
      const problem = await row(page, 'big.bin').locator('.problem').textContent();
      assert.match(problem, /^File too large\. .+ Limit: max_file_size, 1 MiB\.$/);
      assert.equal(await page.getByRole('button', { name: 'Retry big.bin' }).isVisible(), true);
      assert.deepEqual(filesBelow(limited.uploads), []);
      assert.deepEqual(filesBelow(limited.incoming), []);
    }, { on: limited, refusals: true }));
}

test('a lost connection is told, and retry sends the file again', () => withPage(async (page) => {
  await page.route('**/slipway/upload', (route) => route.abort('connectionreset'));
  await page.setInputFiles('#files', [payload('again.txt', 'again')]);
  await isShown(inState(page, 'failed'));
  assert.match(await row(page, 'again.txt').locator('.problem').textContent(), /^Not stored\. /);
  await page.unroute('**/slipway/upload');
  await page.getByRole('button', { name: 'Retry again.txt' }).click();
  await isShown(inState(page, 'stored'));
  assert.equal(await row(page, 'again.txt').locator('.problem').isVisible(), false);
  await isShown(stored(page, 'again.txt'));
}, { refusals: true }));

test('a page that was loaded while the server was gone catches up', () => withPage(async (page) => {
  const gone = (route) => route.abort('connectionrefused');
  const apis = ['**/slipway/files?*', '**/slipway/status'];
  await server.request({ method: 'PUT', path: '/slipway/upload/before.txt', body: 'x' });
  for (const api of apis) await page.route(api, gone);
  await page.reload();
  await isShown(page.locator('#list-problem').getByText('The server cannot be reached.'));
  for (const api of apis) await page.unroute(api);
  await page.setInputFiles('#files', [payload('after.txt', 'after')]);
  await isShown(stored(page, 'before.txt'));
  assert.equal(await stored(page, 'after.txt').count(), 1);
  assert.equal(await page.locator('#list-problem').isVisible(), false);
  await isShown(page.locator('#limits').getByText('At most'));
}, { refusals: true }));

test('the smaller limit is told', () => withPage(async (page) => {
  await page.route('**/slipway/status', (route) => route.fulfill({
    json: { limits: { max_file_size: 1 << 30, max_request_size: 1 << 20, min_file_size: 0, accept: '' } },
  }));
  await page.reload();
  await isShown(page.locator('#limits').getByText('At most 1 MiB per file.'));
}));

test('a file whose answer is lost still counts as stored', () => withPage(async (page) => {
  await page.route('**/slipway/upload', async (route) => {
    await route.fetch();
    await route.abort('connectionreset');
  });
  await page.setInputFiles('#files', [payload('kept.txt', 'kept')]);
  await isShown(inState(page, 'stored'));
  await isShown(stored(page, 'kept.txt'));
}, { refusals: true }));

test('deleting takes two clicks', () => withPage(async (page) => {
  await page.setInputFiles('#files', [payload('old.txt', 'old'), payload('new.txt', 'new')]);
  await waitFor('both listed', async () => await stored(page, '').count() === 2);
  const button = stored(page, 'old.txt').locator('.delete');
  await button.dblclick();
  assert.equal(await button.textContent(), 'Really delete?');
  await page.getByLabel('Note').focus();
  assert.equal(await button.textContent(), 'Delete');

  await button.click();
  await page.getByRole('button', { name: 'Really delete? old.txt' }).click();
  await stored(page, 'old.txt').waitFor({ state: 'detached' });
  assert.equal(filesBelow(server.uploads).filter((name) => name.endsWith('.txt')).length, 1);
  await stored(page, 'new.txt').locator('.delete').click();
  await stored(page, 'new.txt').locator('.delete').click();
  await isShown(page.getByText('Nothing is stored yet.'));
  assert.deepEqual(filesBelow(server.uploads), []);
}));

test('a refused list or deletion is explained', () => withPage(async (page) => {
  const refuse = (route) => route.fulfill({
    status: 403,
    contentType: 'application/problem+json',
    body: JSON.stringify({ title: 'Not allowed', detail: 'Only <b>members</b> may.' }),
  });
  await page.route('**/slipway/files?*', refuse);
  await page.route('**/slipway/files/*', refuse);
  await page.reload();
  await isShown(page.getByText('Not allowed. Only <b>members</b> may.'));
  await page.setInputFiles('#files', [payload('mine.txt', 'mine')]);
  await stored(page, 'mine.txt').locator('.delete').click();
  await stored(page, 'mine.txt').locator('.delete').click();
  await isShown(stored(page, 'mine.txt').getByText('Not allowed.'));
}, { refusals: true }));

test('the list comes in pages, newest first', () => withPage(async (page) => {
  for (let i = 10; i < 35; i++) {
    await server.request({ method: 'PUT', path: `/slipway/upload/file-${i}.txt`, body: 'x' });
  }
  await page.reload();
  await isShown(stored(page, 'file-34.txt'));
  assert.equal(await stored(page, '').count(), 20);
  await page.getByRole('button', { name: 'More' }).press('Enter');
  await isShown(stored(page, 'file-10.txt'));
  const names = await page.locator('#stored .name').allTextContents();
  const files = await list(server, 'limit=1000');
  assert.deepEqual(names, files.map(({ name }) => name));
  assert.equal(new Set(names).size, 25);
  assert.equal(await page.getByRole('button', { name: 'More' }).isVisible(), false);
}));

test('a name made of markup is shown as text and does nothing', () => withPage(async (page) => {
  await page.getByLabel('Note').fill('<script>alert(2)</script>');
  await page.setInputFiles('#files', [payload('<img src=x onerror=alert(1)>.txt', 'harmless')]);
  await isShown(inState(page, 'stored'));
  assert.equal(await page.locator('#transfers .name').textContent(),
    '<img src=x onerror=alert(1)>.txt');
  const link = page.locator('#stored .name');
  assert.equal(await link.textContent(), '_img src=x onerror=alert(1)_.txt');
  assert.equal(await page.locator('#stored .note').textContent(), '<script>alert(2)</script>');
  assert.equal((await bytesAt(page, await link.getAttribute('href'))).text, 'harmless');
  await page.reload();
  await isShown(stored(page, 'onerror=alert(1)'));
  assert.equal(await page.locator('main img').count(), 0);
}));

test('nothing sticks out at 320 px, and dark is dark', () => withPage(async (page) => {
  const long = `${'unbroken'.repeat(20)}.txt`;
  await page.getByLabel('Note').fill('m'.repeat(200));
  await page.setInputFiles('#files', [payload(long, 'x')]);
  await isShown(stored(page, long));
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = paper.match(/\d+/g).map(Number).every((part) => part > 127);
  assert.equal(light, false, paper);
}, { viewport: { width: 320, height: 640 }, colorScheme: 'dark' }));

test('without script the form sends files and the answer links to them', () =>
  withPage(async (page) => {
    await page.getByLabel('Note').fill('by form');
    await page.setInputFiles('#files', [payload('plain.txt', 'plain'), payload('b.txt', 'b')]);
    await page.getByRole('button', { name: 'Upload' }).click();
    await isShown(page.getByRole('heading', { name: 'Uploaded' }));
    for (const [name, text] of [['plain.txt', 'plain'], ['b.txt', 'b']]) {
      const href = await page.getByRole('link', { name, exact: true }).getAttribute('href');
      assert.deepEqual(await bytesAt(page, href), { status: 200, text });
    }
    assert.equal((await list(server, 'meta.note=by%20form')).length, 2);
    await page.getByRole('link', { name: 'Back' }).click();
    await isShown(page.getByRole('button', { name: 'Upload' }));
    assert.equal(await page.locator('.scripted').first().isVisible(), false);
  }, { script: false }));

test('without script a refusal is a readable page', () => withPage(async (page) => {
  await page.setInputFiles('#files', [filled('big.bin', MIB + 1)]);
  await page.getByRole('button', { name: 'Upload' }).click();
  await isShown(page.getByRole('heading', { name: 'File too large' }));
  assert.deepEqual(filesBelow(limited.uploads), []);
}, { script: false, on: limited }));

test('the page allows nothing inline and nothing from elsewhere', () => {
  const html = fs.readFileSync(new URL('../../htdocs/index.html', import.meta.url), 'utf8');
  assert.match(html, /http-equiv="Content-Security-Policy" content="default-src 'self';/);
  assert.doesNotMatch(html, /\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)|https?:/);
});
