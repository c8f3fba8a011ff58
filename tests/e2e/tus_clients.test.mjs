// tus-js-client under node and Debian's tuspy, with slipway behind a server.
// Nothing is retried: a client that has to try twice fails its test. At the
// end of every upload its bytes are compared by reader, on disk and in the
// API.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { DefaultHttpStack, FileUrlStorage, Upload } from 'tus-js-client';

import {
  KIB, MIB, checkGone, checkUploaded, content, contentFile, endAndCheck, named, offsetOf, pathOf,
  tusHead, within,
} from '../lib/clients.mjs';
import { everything } from '../lib/e2e.mjs';
import { testsOf } from '../lib/every_server.mjs';
import { json } from '../lib/http.mjs';
import { Server } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);

// What a broken connection may cost: the bytes of one checkpoint interval.
const CHECKPOINT = 16 * MIB;
const protocols = ['tus-v1', 'ietf-draft-03', 'ietf-draft-05'];
let server;
let scratch;
let endpoint;

before(async () => {
  scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-tus-'));
  server = await Server.start({ config: everything });
  endpoint = `http://127.0.0.1:${server.port}/slipway/upload`;
});

after(async () => {
  await server?.stop();
  fs.rmSync(scratch, { recursive: true, force: true });
});

// Every answer must speak the protocol of its request, and no other.
function checkVersion(protocol, response) {
  const version = response.getHeader('Tus-Resumable');
  assert.equal(version, protocol === 'tus-v1' ? '1.0.0' : undefined);
}

// Pieces of a request's body, so slow that it can be interrupted; size is what
// tus-js-client goes by. told gets the number of bytes after each.
function slowly(body, told) {
  async function* pieces() {
    let sent = 0;
    for await (const part of Buffer.isBuffer(body) ? [body] : body) {
      for (let at = 0; at < part.length; at += 64 * KIB) {
        const piece = part.subarray(at, at + 64 * KIB);
        yield piece;
        sent += piece.length;
        told(sent);
        await sleep(1);
      }
    }
  }
  return Object.assign(Readable.from(pieces(), { objectMode: false }), { size: body.size });
}

// A way to send that tells how many bytes of all requests are on their way.
function slowStack(told) {
  const stack = new DefaultHttpStack();
  let total = 0;
  const createRequest = (method, url) => {
    const request = stack.createRequest(method, url);
    const send = request.send.bind(request);
    const abort = request.abort.bind(request);
    let slow;
    request.send = (body) => {
      if (!body?.size) return send(body);
      let own = 0;
      slow = slowly(body, (sent) => {
        total += sent - own;
        own = sent;
        told(total, sent);
      });
      return send(slow);
    };
    request.abort = () => {
      slow?.destroy();
      return abort();
    };
    return request;
  };
  return { createRequest, getName: () => 'slow' };
}

// An upload by tus-js-client. seen gets one entry for every request:
// {method, path, status, header(name), answer(name)}; end() gives the URL when
// the upload is whole.
function tus(source, options = {}) {
  const { protocol = 'tus-v1' } = options;
  const seen = [];
  const note = (request, response) => {
    const { pathname } = new URL(request.getURL());
    seen.push({
      method: request.getMethod(), path: pathname, status: response.getStatus(),
      header: (name) => request.getHeader(name), answer: (name) => response.getHeader(name),
    });
    checkVersion(protocol, response);
  };
  let upload;
  const ended = new Promise((resolve, reject) => {
    upload = new Upload(source, {
      endpoint, retryDelays: null, onAfterResponse: note,
      onSuccess: () => resolve(upload.url), onError: reject, ...options,
    });
  });
  ended.catch(() => {});
  return { upload, seen, end: () => within(ended, 'tus-js-client') };
}

// Uploads source to its end. Gives {url, seen}.
async function finish(source, options) {
  const run = tus(source, options);
  run.upload.start();
  return { url: await run.end(), seen: run.seen };
}

// Starts an upload and calls stop(upload, bytes on their way) until that gives
// the promise of an abort. Gives the run when the abort is done.
async function interrupted(source, options, stop) {
  let run;
  let stopped = null;
  await new Promise((resolve, reject) => {
    const told = (total) => {
      if (stopped) return;
      stopped = stop(run.upload, total) || null;
      stopped?.then(resolve, reject);
    };
    run = tus(source, { ...options, httpStack: slowStack(told), onError: reject });
    run.upload.start();
  });
  return run;
}

const methods = (seen) => seen.map(({ method }) => method);
const appends = (seen) => seen.filter(({ method }) => method === 'PATCH');
const named_ = (name, more) => ({ filename: name, filetype: 'text/plain', ...more });

// What checkUploaded is to find for an upload with these metadata.
const stored = (data, name, metadata) => ({ data, name, type: 'text/plain', metadata });

// A creation that brings the whole file leads to the file itself in the IETF
// protocol; the upload resource is there all the same.
async function checkCreated(url, { answer }, expected) {
  if (!pathOf(url).startsWith('/_upload/')) return checkUploaded(server, url, expected);
  const file = await checkUploaded(server, `/slipway/upload/${answer('Upload-Id')}`, expected);
  assert.equal(pathOf(url), file.url);
  return file;
}

async function checkState(url, state) {
  const answer = await server.request({ path: pathOf(url).replace('/upload/', '/progress/') });
  assert.equal(json(answer).state, state);
}

for (const protocol of protocols) {
  const gone = protocol === 'tus-v1' ? 410 : 404;

  describe(protocol, () => {
    test('one POST and one PATCH', async () => {
      const data = content(3 * MIB + 17, protocol);
      const { url, seen } = await finish(data, { protocol, metadata: named_('one.txt') });
      assert.deepEqual(methods(seen), ['POST', 'PATCH']);
      assert.equal(seen[0].status, 201);
      assert.match(seen[0].answer('Location'), /^\/slipway\/upload\/[A-Za-z0-9_-]{8,64}$/);
      assert.equal(seen[0].answer('Upload-Id'), seen[0].answer('Location').split('/').at(-1));
      assert.equal(seen[1].answer('Upload-Offset'), String(data.length));
      const file = await checkUploaded(server, url, stored(data, 'one.txt'));
      if (protocol === 'tus-v1') assert.equal(seen[1].answer('Content-Location'), file.url);
    });

    test('a file in chunks, the last one full', async () => {
      const data = content(8 * 64 * KIB, `${protocol} chunks`);
      const file = contentFile(scratch, 'chunks.bin', data);
      const { url, seen } = await finish(fs.createReadStream(file),
        { protocol, chunkSize: 64 * KIB, metadata: named_('full.txt') });
      if (protocol === 'tus-v1') {
        const expires = seen.map((entry) => Date.parse(entry.answer('Upload-Expires')));
        assert.ok(expires.slice(0, -1).every((at) => at > Date.now()), expires.join());
        assert.ok(Number.isNaN(expires.at(-1)));
      }
      assert.deepEqual(appends(seen).map((entry) => Number(entry.answer('Upload-Offset'))),
        [1, 2, 3, 4, 5, 6, 7, 8].map((n) => n * 64 * KIB));
      await checkUploaded(server, url, stored(data, 'full.txt'));
    });

    test('chunks of 1,000 bytes', async () => {
      const data = content(100_001, `${protocol} small`);
      const { url, seen } = await finish(data,
        { protocol, chunkSize: 1000, metadata: named_('small.txt') });
      assert.equal(appends(seen).length, 101);
      await checkUploaded(server, url, stored(data, 'small.txt'));
    });

    test('everything in the creation', async () => {
      const data = content(2 * MIB + 1, `${protocol} creation`);
      const { url, seen } = await finish(data,
        { protocol, uploadDataDuringCreation: true, metadata: named_('with.txt') });
      assert.deepEqual(methods(seen), ['POST']);
      await checkCreated(url, seen[0], stored(data, 'with.txt'));
    });

    test('the first chunk in the creation', async () => {
      const data = content(300 * KIB, `${protocol} first`);
      const { url, seen } = await finish(data, {
        protocol, uploadDataDuringCreation: true, chunkSize: 128 * KIB,
        metadata: named_('first.txt'),
      });
      assert.deepEqual(methods(seen), ['POST', 'PATCH', 'PATCH']);
      assert.equal(seen[0].answer('Upload-Offset'), String(128 * KIB));
      await checkUploaded(server, url, stored(data, 'first.txt'));
    });

    for (const size of [1, 64 * KIB - 1, 64 * KIB + 1, 300_000]) {
      test(`a stream of ${size} bytes whose length is told last`, async () => {
        const data = content(size, `${protocol} deferred`);
        const { url, seen } = await finish(Readable.from(data, { objectMode: false }), {
          protocol, uploadLengthDeferred: true, chunkSize: 64 * KIB,
          metadata: named_('deferred.txt'),
        });
        assert.equal(seen[0].header('Upload-Length'), undefined);
        assert.equal(appends(seen).at(-1).header('Upload-Length'), String(size));
        await checkUploaded(server, url, stored(data, 'deferred.txt'));
      });
    }

    test('POST in place of PATCH', async () => {
      const data = content(200_000, `${protocol} override`);
      const { url, seen } = await finish(data, {
        protocol, overridePatchMethod: true, chunkSize: 70_000,
        metadata: named_('override.txt'),
      });
      assert.deepEqual(methods(seen), ['POST', 'POST', 'POST', 'POST']);
      await checkUploaded(server, url, stored(data, 'override.txt'));
    });

    test('an empty file', async () => {
      for (const uploadDataDuringCreation of [false, true]) {
        const { url, seen } = await finish(Buffer.alloc(0),
          { protocol, uploadDataDuringCreation, metadata: named_('empty.txt') });
        assert.deepEqual(methods(seen), ['POST']);
        await checkCreated(url, seen[0], stored(Buffer.alloc(0), 'empty.txt'));
      }
    });

    test('metadata of many scripts, empty and odd values', async () => {
      const data = content(1000, 'metadata');
      const metadata = {
        filename: 'Grüße 日本 😀 "a", b;.txt', filetype: 'text/plain; charset=utf-8',
        empty: '', note: 'каждый охотник', lines: 'one\r\nSet-Cookie: two=2\n',
        relativePath: 'null', punctuation: ',;=" ', long: 'ä'.repeat(500), '0': 'nought',
      };
      const { url, seen } = await finish(data, { protocol, metadata });
      const { filename, filetype, relativePath, ...kept } = metadata;
      assert.ok(filename && filetype && relativePath);
      await checkUploaded(server, url, stored(data, 'Grüße 日本 😀 _a_, b;.txt', kept));
      const head = await tusHead(server, url);
      assert.equal(head.headers.get('upload-metadata'), seen[0].header('Upload-Metadata'));
    });

    test('no metadata at all, and a request id on everything', async () => {
      const data = content(77_777, `${protocol} bare`);
      const { url, seen } = await finish(data, { protocol, addRequestId: true });
      for (const entry of seen) assert.match(entry.header('X-Request-ID'), /^[0-9a-f-]{36}$/);
      await checkUploaded(server, url,
        { data, name: 'upload', type: 'application/octet-stream' });
    });

    test('aborted in one long PATCH, resumed from storage by another client', async () => {
      const data = content(40 * MIB, `${protocol} abort`);
      const file = contentFile(scratch, `abort-${protocol}.bin`, data);
      const options = {
        protocol, metadata: named_('aborted.txt'), removeFingerprintOnSuccess: true,
        urlStorage: new FileUrlStorage(path.join(scratch, `urls-${protocol}.json`)),
      };
      let sent = 0;
      const first = await interrupted(fs.createReadStream(file), options, (upload, total) => {
        sent = total;
        return total > 28 * MIB && upload.abort();
      });
      assert.deepEqual(methods(first.seen), ['POST']);

      const second = tus(fs.createReadStream(file), options);
      const previous = await second.upload.findPreviousUploads();
      assert.equal(previous.length, 1);
      second.upload.resumeFromPreviousUpload(previous[0]);
      const started = Date.now();
      let answered;
      second.upload.options.onProgress = () => { answered ??= Date.now(); };
      second.upload.start();
      const url = await second.end();
      assert.deepEqual(methods(second.seen), ['HEAD', 'PATCH']);
      const from = Number(second.seen[1].header('Upload-Offset'));
      assert.ok(from >= sent - CHECKPOINT, `${from} kept of ${sent}`);
      assert.ok(answered - started < 1000, `HEAD took ${answered - started} ms`);
      await checkUploaded(server, url, stored(data, 'aborted.txt'));
      assert.deepEqual(await second.upload.findPreviousUploads(), []);
    });

    test('ten aborts and starts of one upload', async () => {
      const data = content(20 * MIB, `${protocol} again`);
      let aborts = 0;
      const run = tus(data, {
        // As CGI the process of an aborted request may begin after that of the next one.
        protocol, metadata: named_('again.txt'), retryDelays: [100, 500],
        httpStack: slowStack((total, sent) => {
          if (sent < MIB || aborts === 10) return;
          aborts++;
          run.upload.abort().then(() => setTimeout(() => run.upload.start(), 10));
        }),
      });
      run.upload.start();
      await checkUploaded(server, await run.end(), stored(data, 'again.txt'));
      const heads = run.seen.filter(({ method }) => method === 'HEAD');
      const offsets = heads.map((entry) => Number(entry.answer('Upload-Offset')));
      assert.ok(offsets.length >= 10, `${offsets.length} HEADs`);
      assert.deepEqual(offsets, [...offsets].sort((a, b) => a - b), 'an offset went back');
    });

    for (const uploadDataDuringCreation of [false, true]) {
      test(`resuming what is stored asks and sends nothing, data in the creation: ${uploadDataDuringCreation}`, async () => {
        const data = content(50_000, `${protocol} stored ${uploadDataDuringCreation}`);
        const options = { protocol, uploadDataDuringCreation, metadata: named_('again-whole.txt') };
        const { url } = await finish(data, options);
        const again = await finish(data, { ...options, uploadUrl: url });
        assert.equal(again.url, url);
        assert.deepEqual(methods(again.seen), ['HEAD']);
        await checkUploaded(server, url, stored(data, 'again-whole.txt'));
      });
    }

    test('terminated halfway, and after the end', async () => {
      const data = content(200_000, `${protocol} terminate`);
      const run = tus(data, { protocol, chunkSize: 50_000, metadata: named_('half.txt') });
      await new Promise((resolve, reject) => {
        run.upload.options.onChunkComplete = (chunk, accepted) => {
          if (accepted === 100_000) run.upload.abort(true).then(resolve, reject);
        };
        run.upload.start();
      });
      await checkGone(server, run.upload.url);
      await checkState(run.upload.url, 'cancelled');

      const { url } = await finish(data, { protocol, metadata: named_('whole.txt') });
      const file = await checkUploaded(server, url, stored(data, 'whole.txt'));
      await Upload.terminate(url, { protocol });
      await checkGone(server, url);
      assert.notEqual((await server.request({ path: file.url })).status, 200);
      assert.equal((await server.request({ path: `/slipway/files/${file.id}` })).status, 404);
      await assert.rejects(Upload.terminate(url, { protocol, retryDelays: null }),
        (error) => error.originalResponse.getStatus() === gone);
    });

    test('terminated in the middle of a PATCH', async () => {
      const data = content(16 * MIB, `${protocol} middle`);
      const run = await interrupted(data, { protocol, metadata: named_('middle.txt') },
        (upload, total) => total > 4 * MIB && upload.abort(true));
      await checkGone(server, run.upload.url);
      assert.deepEqual(await named(server, 'middle.txt'), []);
    });
  });
}

describe('many at once', () => {
  test('thirty uploads of three protocols', async () => {
    await Promise.all(Array.from({ length: 30 }, async (_, i) => {
      const data = content(100_000 + 7777 * i, `crowd ${i}`);
      const { url } = await finish(data, {
        protocol: protocols[i % 3], chunkSize: 50_000, metadata: named_(`crowd ${i}.txt`),
      });
      await checkUploaded(server, url, stored(data, `crowd ${i}.txt`));
    }));
  });

  test('three clients that fight for one upload all end with it whole', async () => {
    const data = content(600_001, 'fight');
    const name = 'fight.txt';
    const creation = await server.request({
      method: 'POST', path: '/slipway/upload',
      headers: [['Tus-Resumable', '1.0.0'], ['Upload-Length', data.length],
        ['Upload-Metadata', `filename ${Buffer.from(name).toString('base64')}`]],
    });
    const uploadUrl = new URL(creation.headers.get('location'), endpoint).href;
    const runs = await Promise.all([20_000, 33_333, 50_000].map((chunkSize) => finish(data,
      { uploadUrl, endpoint: null, chunkSize, retryDelays: Array(500).fill(5) })));
    const refused = runs.flatMap(({ seen }) => seen).map(({ status }) => status)
      .filter((status) => status >= 300);
    assert.ok(refused.length > 0, 'nobody met anybody');
    assert.ok(refused.every((status) => [409, 423].includes(status)), refused.join());
    await checkUploaded(server, uploadUrl, stored(data, name));
    assert.equal((await named(server, name)).length, 1);
  });
});

describe('parallelUploads', () => {
  const parallel = (more) => ({ parallelUploads: 4, ...more });
  const concat = (seen) => seen.filter(({ method }) => method === 'POST')
    .map((entry) => entry.header('Upload-Concat').split(';')[0]);

  for (const source of ['buffer', 'file']) {
    test(`four parts of a ${source}`, async () => {
      const data = content(5 * MIB + 3, `parallel ${source}`);
      const opened = source === 'file'
        ? fs.createReadStream(contentFile(scratch, 'parallel.bin', data)) : data;
      const { url, seen } = await finish(opened, parallel({
        chunkSize: 500_000, metadata: named_('parallel.txt', { note: 'é' }),
        metadataForPartialUploads: { filename: '../not-this.php' },
      }));
      assert.deepEqual(concat(seen), ['partial', 'partial', 'partial', 'partial', 'final']);
      await checkUploaded(server, url, stored(data, 'parallel.txt', { note: 'é' }));

      const head = await tusHead(server, url);
      const final = seen.at(-1).header('Upload-Concat');
      assert.equal(head.headers.get('upload-concat'), final);
      const parts = final.slice('final;'.length).split(' ');
      for (const part of parts) {
        const answer = await tusHead(server, part);
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get('upload-concat'), 'partial');
        assert.equal(offsetOf(answer), Number(answer.headers.get('upload-length')));
      }
      assert.equal((await named(server, 'not-this.php')).length, 0);
    });
  }

  test('fewer bytes than parts', async () => {
    const data = content(3, 'few');
    const { url } = await finish(data, parallel({ metadata: named_('few.txt') }));
    await checkUploaded(server, url, stored(data, 'few.txt'));
  });

  test('creations that carry data', async () => {
    const data = content(400_001, 'parallel creation');
    const { url, seen } = await finish(data,
      parallel({ uploadDataDuringCreation: true, metadata: named_('creations.txt') }));
    assert.deepEqual(methods(seen), ['POST', 'POST', 'POST', 'POST', 'POST']);
    await checkUploaded(server, url, stored(data, 'creations.txt'));
  });

  test('once more after the file was removed', async () => {
    const data = content(300_000, 'parallel removed');
    const options = parallel({
      metadata: named_('removed.txt'),
      urlStorage: new FileUrlStorage(path.join(scratch, 'urls-removed.json')),
    });
    const send = async () => {
      const run = tus(data, options);
      const [previous] = await run.upload.findPreviousUploads();
      if (previous) run.upload.resumeFromPreviousUpload(previous);
      run.upload.start();
      return { url: await run.end(), seen: run.seen };
    };
    const first = await send();
    await Upload.terminate(first.url);
    const second = await send();
    assert.notEqual(second.url, first.url);
    assert.ok(second.seen.filter(({ method }) => method === 'HEAD').every(({ status }) => status === 410));
    await checkUploaded(server, second.url, stored(data, 'removed.txt'));
  });

  test('the parts really run at the same time', async () => {
    const data = content(32 * MIB, 'at once');
    let running = 0;
    let most = 0;
    const run = tus(data, parallel({
      chunkSize: MIB, metadata: named_('at-once.txt'),
      onBeforeRequest: () => { most = Math.max(most, ++running); },
    }));
    const note = run.upload.options.onAfterResponse;
    run.upload.options.onAfterResponse = (request, response) => {
      running--;
      note(request, response);
    };
    run.upload.start();
    await checkUploaded(server, await run.end(), stored(data, 'at-once.txt'));
    assert.equal(most, 4);
  });

  test('aborted in all parts, resumed from storage', async () => {
    const data = content(48 * MIB, 'parallel abort');
    const options = parallel({
      metadata: named_('parallel-abort.txt'), removeFingerprintOnSuccess: true,
      urlStorage: new FileUrlStorage(path.join(scratch, 'urls-parallel.json')),
    });
    await interrupted(data, options, (upload, total) => total > 32 * MIB && upload.abort());
    const second = tus(data, options);
    const previous = await waitFor('the URLs to be stored', async () =>
      (await second.upload.findPreviousUploads())[0]);
    assert.equal(previous.parallelUploadUrls.length, 4);
    second.upload.resumeFromPreviousUpload(previous);
    second.upload.start();
    const url = await second.end();
    assert.deepEqual(concat(second.seen), ['final']);
    const heads = second.seen.filter(({ method }) => method === 'HEAD');
    assert.equal(heads.length, 4);
    assert.ok(heads.some((entry) => Number(entry.answer('Upload-Offset')) > 0));
    await checkUploaded(server, url, stored(data, 'parallel-abort.txt'));
  });

  test('terminated in all parts', async () => {
    const data = content(32 * MIB, 'parallel terminate');
    let urls;
    await interrupted(data, parallel({ metadata: named_('parallel-gone.txt') }),
      (upload, total) => {
        if (total < 8 * MIB) return null;
        urls = new Set(upload._parallelUploadUrls);
        return upload.abort(true);
      });
    assert.equal(urls.size, 4);
    for (const url of urls) {
      await waitFor('a part to be gone', async () => (await tusHead(server, url)).status === 410);
      await checkGone(server, url);
    }
    assert.deepEqual(await named(server, 'parallel-gone.txt'), []);
  });
});

describe('refusals as tus-js-client sees them', () => {
  let limited;
  before(async () => {
    limited = await Server.start({
      config: { ...everything, 'upload.protocols': 'tus', 'limits.max_file_size': '100K' },
    });
  });
  after(() => limited?.stop());

  const refused = async (source, options, status, slug) => {
    const url = `http://127.0.0.1:${limited.port}/slipway/upload`;
    await assert.rejects(finish(source, { endpoint: url, ...options }), (error) => {
      const response = error.originalResponse;
      assert.equal(response?.getStatus(), status, error.message);
      assert.equal(JSON.parse(response.getBody()).type, `urn:slipway:problem:${slug}`);
      return true;
    });
  };

  test('too large, told at once', () =>
    refused(content(100 * KIB + 1, 'large'), {}, 413, 'file-too-large'));

  test('too large, found on the way', () =>
    refused(Readable.from(content(200 * KIB, 'large'), { objectMode: false }),
      { uploadLengthDeferred: true, chunkSize: 64 * KIB }, 413, 'file-too-large'));

  test('parts that are too large together', () =>
    refused(content(101 * KIB, 'large'), { parallelUploads: 4 }, 413, 'file-too-large'));

  for (const protocol of protocols.slice(1)) {
    test(`${protocol} where it is off`, () =>
      refused(content(10, 'off'), { protocol }, 403, 'forbidden'));
  }
});

describe('tuspy', () => {
  const python = process.env.PYTHON ?? '/usr/bin/python3';
  const script = fileURLToPath(new URL('../lib/tuspy.py', import.meta.url));

  async function tuspy(name, data, task = {}) {
    const { stdout } = await promisify(execFile)(python, [script, JSON.stringify({
      endpoint, file: contentFile(scratch, name, data), metadata: named_(name), ...task,
    })]);
    return JSON.parse(stdout);
  }

  for (const checksum of ['sha1', 'md5', 'sha256', 'sha512']) {
    test(`chunks with ${checksum}`, async () => {
      const data = content(700_001, `tuspy ${checksum}`);
      const { url } = await tuspy('checked.txt', data, { checksum, chunk_size: 100_000 });
      await checkUploaded(server, url, stored(data, 'checked.txt'));
    });
  }

  test('one chunk with a checksum, asynchronous', async () => {
    const data = content(9 * MIB, 'tuspy async');
    const { url } = await tuspy('async.txt', data, { checksum: 'sha1', run_async: true });
    await checkUploaded(server, url, stored(data, 'async.txt'));
  });

  test('a wrong checksum is found and nothing of its chunk is kept', async () => {
    const data = content(500_000, 'tuspy wrong');
    const storage = path.join(scratch, 'tuspy-wrong.json');
    const name = 'wrong.txt';
    const half = await tuspy(name, data,
      { checksum: 'sha1', chunk_size: 100_000, stop_at: 200_000, storage });
    const wrong = await tuspy(name, data, { checksum: 'wrong', chunk_size: 100_000, storage });
    assert.deepEqual(wrong, { start: 200_000, status: 460, url: half.url, offset: 200_000 });
    assert.equal(offsetOf(await tusHead(server, half.url)), 200_000);
    const rest = await tuspy(name, data, { checksum: 'sha256', chunk_size: 70_000, storage });
    assert.deepEqual(rest, { start: 200_000, url: half.url, offset: 500_000 });
    await checkUploaded(server, half.url, stored(data, name));
  });

  test('resumed from its storage by a new process', async () => {
    const data = content(1_000_000, 'tuspy resume');
    const storage = path.join(scratch, 'tuspy.json');
    const name = 'Überall.txt';
    const half = await tuspy(name, data, { chunk_size: 123_456, stop_at: 400_000, storage });
    assert.equal(half.offset, 400_000);
    const rest = await tuspy(name, data, { chunk_size: 123_456, storage });
    assert.deepEqual(rest, { start: 400_000, url: half.url, offset: 1_000_000 });
    await checkUploaded(server, half.url, stored(data, name));
  });
});

test('nothing unfinished is left, and every file is whole', async () => {
  const rows = await endAndCheck(server);
  server = null;
  assert.ok(rows.length > 40);
});
