// slipway as a CGI program whose client leaves in the middle: the server sends
// SIGTERM (Apache), or closes what it had opened.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';

import { acceptJson, cgi, fast, iniOf, isProblem, picture, startCgi, unchanged } from '../lib/e2e.mjs';
import { json } from '../lib/http.mjs';
import { apiBase, binary, Server } from '../lib/server.mjs';
import { waitFor } from '../lib/wait.mjs';

const server = await Server.start({ config: fast });
test.after(() => server.stop());

const upload = (id, length) => startCgi(iniOf(server), {
  method: 'PUT', path: '/upload/a.bin', length, headers: [['Upload-Id', id], acceptJson],
});

async function state(id) {
  const answer = await server.request({ path: `${apiBase}/progress/${id}`, headers: [acceptJson] });
  return answer.status === 200 ? json(answer) : {};
}

const receiving = (id) => waitFor('the upload to begin',
  async () => (await state(id)).state === 'receiving');

for (const length of [1000000, undefined]) {
  const kind = length ? 'with' : 'without';

  test(`SIGTERM ends a body ${kind} a length in order`, async () => {
    const before = await picture(server);
    const id = `terminated_${kind}`;
    const run = upload(id, length);
    run.stdin.write(Buffer.alloc(500));
    await receiving(id);
    run.child.kill('SIGTERM');
    isProblem(await run.done, 400, 'client-gone');
    assert.equal(run.child.signalCode, null, 'it ended by itself');
    await unchanged(server, before, 0);
    assert.equal((await state(id)).error, 'client-gone');
  });

  test(`a body ${kind} a length is not whole when all is closed`, async () => {
    const before = await picture(server);
    const id = `closed_${kind}`;
    const run = upload(id, length);
    run.done.catch(() => {}); // there is no answer
    run.stdin.write(Buffer.alloc(500));
    await receiving(id);
    run.child.stdout.destroy();
    run.stdin.end();
    await unchanged(server, before);
    assert.equal((await state(id)).state, 'failed');
  });
}

test('SIGTERM after the whole body does not undo the upload', async () => {
  const id = 'terminated_late';
  const run = upload(id, 500);
  run.stdin.end(Buffer.alloc(500));
  await waitFor('it to be stored', async () => (await state(id)).state === 'stored');
  run.child.kill('SIGTERM');
  assert.equal((await state(id)).state, 'stored');
});

// Clients of resumable uploads begin anew after a 5xx.
test('while slipway.ini is wrong an upload can wait', async () => {
  const ini = path.join(server.dir, 'wrong.ini');
  fs.writeFileSync(ini, 'nonsense = 1\n');
  const ask = (method, headers) => cgi(ini, { method, path: '/upload/a', headers: [acceptJson, ...headers] });
  for (const header of [['Tus-Resumable', '1.0.0'], ['Upload-Draft-Interop-Version', '8']]) {
    assert.equal((await ask('HEAD', [header])).status, 423);
    isProblem(await ask('GET', [header]), 503, 'config');
  }
  assert.equal((await ask('HEAD', [])).status, 503);
});

// mod_cgid: both directions are one socket.
test('a socket that is closed in mid-body leaves nothing', async () => {
  const before = await picture(server);
  const where = path.join(server.dir, 'both.sock');
  const program = `
    import os, socket, sys
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
    os.dup2(s.fileno(), 0); os.dup2(s.fileno(), 1); s.close()
    os.execv(sys.argv[2], sys.argv[2:])`.replaceAll('\n    ', '\n');
  let child;
  const connected = new Promise((resolve) => {
    const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
      listener.close();
      resolve(socket);
    }).listen(where, () => {
      child = spawn('python3', ['-c', program, where, binary], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {
          PATH: process.env.PATH, SLIPWAY_CONFIG: iniOf(server), GATEWAY_INTERFACE: 'CGI/1.1',
          SERVER_PROTOCOL: 'HTTP/1.1', REQUEST_METHOD: 'PUT', SCRIPT_NAME: '/cgi',
          PATH_INFO: '/upload/a.bin', HTTP_UPLOAD_ID: 'closed_socket',
        },
      });
    });
  });
  const socket = await connected;
  socket.on('error', () => {});
  socket.write(Buffer.alloc(500));
  await receiving('closed_socket');
  socket.destroy();
  await new Promise((resolve) => { child.once('close', resolve); });
  await unchanged(server, before, 0);
  assert.equal((await state('closed_socket')).error, 'client-gone');
  fs.rmSync(where, { force: true });
});
