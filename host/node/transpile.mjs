// Turns a component into JavaScript with jco, for `Policy.fromTranspiled`:
//
//   npm install @bytecodealliance/jco-transpile@0.15.0
//   node transpile.mjs POLICY.wasm FOLDER
//
// Only a policy of several core modules needs it, such as those on QuickJS or in Python.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { transpileBytes } from '@bytecodealliance/jco-transpile';

const [file, folder] = process.argv.slice(2);
if (!folder) {
  console.error('usage: node transpile.mjs POLICY.wasm FOLDER');
  process.exit(2);
}
const { files } = await transpileBytes(await readFile(file), { name: 'policy', instantiation: 'async' });
// jco's file has ES modules, and its name does not tell Node so.
const all = { ...files, 'package.json': '{ "type": "module" }\n' };
for (const [name, content] of Object.entries(all)) {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), content);
}
console.log(join(folder, 'policy.js'));
