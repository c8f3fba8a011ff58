#!/usr/bin/env node
// Bring the table of front servers in README.md up to date.
import fs from 'node:fs';

const readme = new URL('../README.md', import.meta.url);
const { inserted } = await import(new URL('../tests/lib/table.mjs', import.meta.url));
fs.writeFileSync(readme, inserted(fs.readFileSync(readme, 'utf8')));
