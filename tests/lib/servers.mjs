// The front servers: for each, how it is started, what slipway.ini says for it,
// and whether it starts slipway itself. Their configurations are printed by
// scripts/servers/, which includes the example configurations in the root.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

const xsendfile = { 'download.offload': 'xsendfile' };
export const localRedirect = {
  'download.offload': 'local-redirect', 'download.offload_prefix': '/_upload',
};
const xaccel = { 'download.offload': 'xaccel', 'download.offload_prefix': '/_slipway' };

const modules = { fcgid: 'mod_fcgid', proxy: 'mod_proxy_fcgi', cgi: 'mod_cgid' };

const apache = (way, config, more) => ({
  title: `Apache, ${modules[way]}`,
  script: ['apache', way],
  command: (conf) => ['apache2', '-D', 'FOREGROUND', '-f', conf],
  config,
  ...more,
});

// title: what people call it; script: prints the configuration; command: serves
// it in the foreground; config: how files can be handed over; daemon: slipway is
// started beside it; account: it is not to be root.
export const servers = {
  lighttpd: {
    title: 'lighttpd',
    script: ['lighttpd'],
    command: (conf) => ['lighttpd', '-D', '-f', conf],
    config: xsendfile,
  },
  'apache-proxy': apache('proxy', xsendfile, { account: 'www-data', daemon: true }),
  'apache-fcgid': apache('fcgid', xsendfile, { account: 'www-data' }),
  'apache-cgi': apache('cgi', localRedirect, { account: 'www-data' }),
  nginx: {
    title: 'nginx',
    script: ['nginx'],
    command: (conf) => ['nginx', '-e', 'stderr', '-c', conf],
    config: xaccel,
    account: 'www-data',
    daemon: true,
  },
};

// The front server that tests use unless they name one.
export const standard = process.env.SLIPWAY_SERVER ?? 'lighttpd';

// Where programs are that only root has in the path, or that scripts/setup
// has unpacked.
export const searchPath = [
  process.env.PATH, '/usr/sbin', '/sbin', path.join(root, 'build/tools/usr/sbin'),
].join(':');

// nginx-example.conf with the recipe at its end: bodies by name, in directory or
// else where the server leaves its temporary files.
export function bodiesByName(directory) {
  const text = fs.readFileSync(path.join(root, 'nginx-example.conf'), 'utf8');
  const recipe = text.slice(text.indexOf('# --- Bodies by name')).split('\n')
    .filter((line) => /^#   (client_body|fastcgi)/.test(line))
    .map((line) => line.slice(4).replaceAll('/var/lib/slipway/bodies', directory))
    .filter((line) => directory || !line.startsWith('client_body_temp_path'));
  const replaced = /^ +(fastcgi_request_buffering|client_body_buffer_size) .*\n/gm;
  if (recipe.length !== (directory ? 6 : 5) || text.match(replaced)?.length !== 2) {
    throw new Error('nginx-example.conf: the recipe for bodies by name has changed');
  }
  return text.replace(replaced, '')
    .replace('fastcgi_pass slipway;', ['fastcgi_pass slipway;', ...recipe].join('\n'));
}

// The configuration of a server. variables: see scripts/servers/README.
export function configuration(name, variables) {
  const [script, ...argv] = servers[name].script;
  return execFileSync(path.join(root, 'scripts/servers', script), argv, {
    env: { PATH: process.env.PATH, ROOT: root.replace(/\/$/, ''), ...variables },
    encoding: 'utf8',
  });
}
