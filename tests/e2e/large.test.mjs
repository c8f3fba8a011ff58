// Files of more than 2 and more than 4 GiB (a tenth of that with most servers),
// up and down, in bounded memory.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { acceptJson, checkStore, fast, picture } from '../lib/e2e.mjs';
import { rounds, testsOf } from '../lib/every_server.mjs';
import { head, json } from '../lib/http.mjs';
import { family } from '../lib/processes.mjs';
import { apiBase, filesBelow, Server } from '../lib/server.mjs';
import { servers, standard } from '../lib/servers.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const GIB = 2 ** 30;
const OVER_2_GIB = rounds(2 * GIB + 104321);
const OVER_4_GIB = rounds(4.5 * GIB + 7);
const MEMORY = 16 * 1024; // KiB that slipway may have had resident at most
const run = promisify(execFile);

// In memory where there is plenty, since a slow disk says nothing of slipway.
function plenty(place) {
  const available = fs.readFileSync('/proc/meminfo', 'utf8').match(/^MemAvailable:\s+(\d+)/m)[1];
  try {
    const space = execFileSync('df', ['-Pk', place], { encoding: 'utf8' }).split('\n')[1].split(/\s+/)[3];
    return Math.min(available, space) * 1024 > 12 * GIB;
  } catch {
    return false;
  }
}

if (plenty('/dev/shm')) process.env.TMPDIR = '/dev/shm';
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-large-'));
process.on('exit', () => fs.rmSync(dir, { recursive: true }));

// A sparse file of so many bytes with a few marks in it.
function sparse(name, size) {
  const file = path.join(dir, name);
  const fd = fs.openSync(file, 'w');
  fs.ftruncateSync(fd, size);
  for (const at of [0, 12345, 2 ** 31 - 8, 2 ** 31 + 100000, 2 ** 32 - 8, 2 ** 32 + 5, size - 64]) {
    const mark = `<mark at ${at}>`;
    if (at + mark.length <= size) fs.writeSync(fd, mark, at);
  }
  fs.closeSync(fd);
  return file;
}

function piece(file, offset, length) {
  const fd = fs.openSync(file, 'r');
  const bytes = Buffer.alloc(length);
  assert.equal(fs.readSync(fd, bytes, 0, length, offset), length);
  fs.closeSync(fd);
  return bytes;
}

const kib = (pid, name) => Number(
  new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

// The most memory that a process of slipway had resident during body, in KiB.
async function peak(server, body) {
  let most = 0;
  let over = false;
  const look = async () => {
    for (const pid of server.workers()) {
      try {
        most = Math.max(most, kib(pid, 'VmHWM'));
      } catch (error) {
        if (!['ENOENT', 'ESRCH'].includes(error.code)) throw error;
      }
    }
    await sleep(50);
    return over || look();
  };
  for (const pid of server.workers()) fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const looking = look();
  await body().finally(() => { over = true; });
  await looking;
  return most;
}

async function curl(...argv) {
  const { stdout } = await run('curl', ['-sS', '--fail-with-body', ...argv]);
  return stdout;
}

async function upload(t, server, file, size) {
  const url = `http://127.0.0.1:${server.port}${apiBase}/upload/large.bin`;
  const started = Date.now();
  let answer;
  const memory = await peak(server, async () => {
    answer = JSON.parse(await curl('-T', file, '-H', acceptJson.join(': '), url));
  });
  t.diagnostic(`up: ${((Date.now() - started) / 1000).toFixed(1)} s, ${memory} KiB resident`);
  assert.ok(memory <= MEMORY, `slipway had ${memory} KiB resident`);
  assert.equal(answer.files[0].size, size);
  return answer.files[0];
}

async function ranges(server, stored, file, size, offloaded) {
  const wanted = [
    [0, 20], [12340, 100], [2 ** 31 - 10, 40], [2 ** 31 + 99990, 70000], [2 ** 32 - 10, 50], [size - 64, 64],
  ].filter(([offset, length]) => offset + length <= size);
  for (const [offset, length] of wanted) {
    const answer = await server.request({
      path: stored.download, headers: [['Range', `bytes=${offset}-${offset + length - 1}`]],
    });
    assert.equal(answer.status, 206, `offset ${offset}`);
    assert.equal(answer.headers.get('content-range'), `bytes ${offset}-${offset + length - 1}/${size}`);
    assert.ok(answer.body.equals(piece(file, offset, length)), `offset ${offset}`);
  }
  const suffix = await server.request({ path: stored.download, headers: [['Range', 'bytes=-64']] });
  assert.equal(suffix.status, 206);
  assert.equal(suffix.headers.get('content-range'), `bytes ${size - 64}-${size - 1}/${size}`);
  assert.ok(suffix.body.equals(piece(file, size - 64, 64)));
  const open = await server.request({ path: stored.download, headers: [['Range', `bytes=${size - 10}-`]] });
  assert.ok(open.body.equals(piece(file, size - 10, 10)));
  const beyond = await server.request({ path: stored.download, headers: [['Range', `bytes=${size}-`]] });
  assert.equal(beyond.status, 416);
  // lighttpd, where it cuts the ranges, leaves Content-Range out.
  if (!offloaded) assert.equal(beyond.headers.get('content-range'), `bytes */${size}`);
}

async function several(server, stored, file, size) {
  const middle = Math.min(2 ** 31, size - 1000);
  // Apache does not look at ranges with blanks between them.
  const answer = await server.request({
    path: stored.download, headers: [['Range', `bytes=0-9,${middle}-${middle + 9},-10`]],
  });
  assert.equal(answer.status, 206);
  assert.match(answer.headers.get('content-type'), /^multipart\/byteranges; *boundary=/);
  const text = answer.body.toString('latin1');
  for (const offset of [0, middle, size - 10]) {
    assert.ok(text.toLowerCase().includes(`content-range: bytes ${offset}-${offset + 9}/${size}`), `${offset}`);
    assert.ok(text.includes(piece(file, offset, 10).toString('latin1')));
  }
}

async function headOf(server, stored, size) {
  const answer = await server.request({ method: 'HEAD', path: stored.download });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-length'), String(size));
  assert.equal(answer.headers.get('accept-ranges'), 'bytes');
}

async function whole(t, server, stored, size) {
  const started = Date.now();
  let count;
  const memory = await peak(server, async () => {
    count = await curl('-o', '/dev/null', '-w', '%{size_download}',
      `http://127.0.0.1:${server.port}${stored.download}`);
  });
  t.diagnostic(`down: ${((Date.now() - started) / 1000).toFixed(1)} s, ${memory} KiB resident`);
  assert.equal(Number(count), size);
  assert.ok(memory <= MEMORY, `slipway had ${memory} KiB resident`);
}

const spooled = (server) => filesBelow(path.join(server.dir, 'spool'))
  .reduce((sum, name) => sum + fs.statSync(path.join(server.dir, 'spool', name)).blocks * 512, 0);

// KiB that the front server has resident, in its largest process.
function frontMemory(server) {
  const workers = server.workers();
  return Math.max(...family(server.process.pid).filter((pid) => !workers.includes(pid))
    .map((pid) => kib(pid, 'VmRSS')));
}

// The process of slipway that has this file open.
const reader = (server, { id }) => server.workers().find((pid) => {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`)
      .some((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`).includes(id));
  } catch {
    return false;
  }
});

// A client that does not read: nobody gathers the file for it.
async function unread(t, server, stored) {
  const socket = net.connect(server.port, '127.0.0.1').pause();
  socket.on('error', () => {});
  socket.write(head({ path: stored.download }));
  const pid = await waitFor('the download to begin', () => reader(server, stored));
  const io = () => fs.readFileSync(`/proc/${pid}/io`, 'utf8').match(/^rchar: (\d+)/m)[1];
  let last = -1;
  await waitFor('it to stall', () => { const now = io(); const same = now === last; last = now; return same; },
    { every: 300, timeout: 10000 });
  t.diagnostic(`unread: ${frontMemory(server)} KiB in ${standard}, ${spooled(server)} bytes spooled`);
  assert.ok(spooled(server) < 32 << 20, 'the server gathers the file on its disk');
  assert.ok(frontMemory(server) < 64 * 1024, 'the server gathers the file in its memory');
  socket.destroy();
  await waitFor('the file to be closed', () => !reader(server, stored));
}

for (const [config, digest] of [[{ 'download.offload': 'none' }, 'sha256'], [servers[standard].config, 'none']]) {
  const offload = config['download.offload'];

  test(`2 GiB, offload = ${offload}, digest = ${digest}`, async (t) => {
    const server = await Server.start({ config: { ...fast, ...config, 'upload.digest': digest } });
    t.after(() => server.stop());
    const size = OVER_2_GIB;
    const file = sparse('2g', size);
    const before = await picture(server);
    const stored = await upload(t, server, file, size);
    if (digest === 'sha256') {
      const [sum] = (await run('sha256sum', [file])).stdout.split(' ');
      assert.equal(stored.sha256, sum);
    }
    await headOf(server, stored, size);
    await ranges(server, stored, file, size, offload !== 'none');
    await several(server, stored, file, size);
    await whole(t, server, stored, size);
    if (offload === 'none') await unread(t, server, stored);
    const gone = await server.request({ method: 'DELETE', path: stored.delete });
    assert.equal(gone.status, 204);
    assert.deepEqual(await picture(server), before);
    fs.rmSync(file);
    assert.deepEqual(server.crashes(), []);
  });
}

test('4.5 GiB', async (t) => {
  const server = await Server.start({ config: { ...fast, 'upload.digest': 'none' } });
  t.after(() => server.stop());
  const size = OVER_4_GIB;
  const file = sparse('4g', size);
  const stored = await upload(t, server, file, size);
  await headOf(server, stored, size);
  await ranges(server, stored, file, size);
  const info = json(await server.request({ path: stored.delete, headers: [acceptJson] }));
  assert.equal(info.size, size);
  assert.equal((await server.request({ method: 'DELETE', path: stored.delete })).status, 204);
  await checkStore(server);
  assert.deepEqual(server.crashes(), []);
});
