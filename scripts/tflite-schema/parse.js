// Reads the notation of the files beside this one (README.md describes it).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Enums, tables and unions of one file, in its order. */
export function parseSchema(file) {
  const parts = { enums: [], tables: [], unions: [] };
  const lines = readFileSync(join(import.meta.dirname, file), 'utf8').split('\n');
  let current;
  lines.forEach((text, index) => {
    const line = text.replace(/#.*/, '').trimEnd();
    if (line === '') return;
    const fail = (why) => {
      throw new Error(`${file}:${index + 1}: ${why}`);
    };
    if (line.startsWith('  ')) current = continued(current, line.trim(), fail);
    else current = started(parts, line.split(/\s+/), fail);
  });
  return parts;
}

function started({ enums, tables, unions }, [word, name, type, ...rest], fail) {
  if (word === 'empty') {
    for (const one of [name, type, ...rest]) tables.push({ name: one, fields: [] });
    return undefined;
  }
  const part = { name, members: [], fields: [], slots: 0 };
  if (word === 'enum') enums.push({ ...part, type, ...part });
  else if (word === 'table') tables.push(part);
  else if (word === 'union') unions.push(part);
  else fail(`'${word}' starts nothing`);
  return { word, part: word === 'enum' ? enums.at(-1) : part };
}

function continued(current, line, fail) {
  if (current === undefined) fail('nothing has been started');
  if (current.word === 'table') addField(current.part, line, fail);
  else addMembers(current, line, fail);
  return current;
}

function addMembers({ word, part }, line, fail) {
  const [, start, names] = /^(\d+): (.+)$/.exec(line) ?? fail('expected a number and names');
  const next = part.members.length + (word === 'union' ? 1 : 0);
  if (Number(start) !== next) fail(`the next number is ${next}`);
  part.members.push(...names.split(/\s+/));
}

/** `name type[]`, `name type packed`, `bytes 16`, `= default`. */
function addField(part, line, fail) {
  const [, name, type, list, mode, fallback] =
    /^(\w+) (\w+)(\[\])?(?: (packed|\d+))?(?: = (\S+))?$/.exec(line) ?? fail(`no field: ${line}`);
  const form = list === undefined ? (mode === 'packed' ? 'packed' : 'single') : 'list';
  const align = type === 'bytes' && mode !== undefined ? Number(mode) : 1;
  part.fields.push({ name, type, form, align, fallback });
}
