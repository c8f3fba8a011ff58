// make install: everything that README and the manual pages name is there, and
// names the place it was installed to.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { filesBelow, root } from '../lib/server.mjs';

test('make install to another place', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-install-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  execFileSync('make', ['-s', 'install', `DESTDIR=${dir}`, 'PREFIX=/opt/slipway'], { cwd: root, stdio: 'ignore' });
  const at = (name) => path.join(dir, 'opt/slipway', name);
  const names = filesBelow(dir);
  for (const name of ['bin/slipway', 'share/man/man1/slipway.1', 'share/man/man5/slipway.ini.5',
    'share/man/man7/slipway-install.7', 'share/slipway/htdocs/index.html', 'share/doc/slipway/slipway.service',
    'share/doc/slipway/slipway.ini', 'share/doc/slipway/README.md', 'share/doc/slipway/LICENSE',
    ...['lighttpd', 'apache', 'nginx'].map((server) => `share/doc/slipway/${server}-example.conf`)]) {
    assert.ok(names.includes(`opt/slipway/${name}`), name);
  }
  assert.ok(names.every((name) => name.startsWith('opt/slipway/')), names.join());
  for (const name of names.filter((one) => /\.(conf|service|[157])$/.test(one))) {
    assert.ok(!fs.readFileSync(path.join(dir, name), 'utf8').includes('/usr/local/'), name);
  }
  assert.match(execFileSync(at('bin/slipway'), ['version'], { encoding: 'utf8' }), /^slipway \d/);
  assert.match(fs.readFileSync(at('share/man/man5/slipway.ini.5'), 'utf8'), /probe_token/);
});
