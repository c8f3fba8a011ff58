// cold-start: how long a CGI request takes from the start of the process to the
// first byte of the answer, next to a program that prints a constant.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { median, printTable, quantile, verdict } from './figures.mjs'

const STARTS = 200
const WARM_UP = 10 // the first start also makes the database
const MOST = 5 // milliseconds that slipway may take longer

// A site of its own, and what Apache tells a CGI program there.
function site(dir) {
  const root = path.join(dir, 'site')
  for (const name of ['www', 'data', 'uploads']) {
    fs.mkdirSync(path.join(root, name), { recursive: true, mode: 0o700 })
  }
  const ini = path.join(root, 'slipway.ini')
  fs.writeFileSync(ini, '[storage]\ndata = data\n' +
    '[uploads]\ndirectory = uploads\nurl = /uploads\n')
  return {
    PATH: process.env.PATH,
    SLIPWAY_CONFIG: ini,
    DOCUMENT_ROOT: path.join(root, 'www'),
    SCRIPT_FILENAME: path.join(root, 'www/slipway.cgi'),
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_SOFTWARE: 'Apache',
    SERVER_PROTOCOL: 'HTTP/1.1',
    SERVER_NAME: '127.0.0.1',
    SERVER_ADDR: '127.0.0.1',
    SERVER_PORT: '80',
    REMOTE_ADDR: '127.0.0.1',
    REQUEST_METHOD: 'GET',
    REQUEST_URI: '/slipway.cgi/status',
    SCRIPT_NAME: '/slipway.cgi',
    PATH_INFO: '/status',
    QUERY_STRING: '',
    HTTP_HOST: '127.0.0.1',
    HTTP_ACCEPT: 'application/json',
  }
}

const milliseconds = (us) => (us / 1000).toFixed(2)

export function coldStart(tools) {
  const env = site(tools.dir)
  const cold = (starts) => JSON.parse(execFileSync(tools.cold,
    [String(starts), tools.constant, tools.static],
    { env, encoding: 'utf8', stdio: 'pipe' }))
  cold(WARM_UP)
  const [constant, slipway] = cold(STARTS)
  const row = (label, list, ...more) => [label,
    ...[0.1, 0.5, 0.9].map((part) => milliseconds(quantile(list, part))), ...more]
  const longer = (median(slipway) - median(constant)) / 1000
  printTable(`cold-start: ms from the start of a CGI process to the first byte ` +
    `of GET /status, ${STARTS} of each in turn`, [
    ['', 'p10', 'median', 'p90', 'longer by', 'target'],
    row('constant', constant, '', ''),
    row('slipway, static', slipway, longer.toFixed(2),
      verdict(MOST, longer <= MOST))])
}
