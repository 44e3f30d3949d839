import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findTrtexec, trtexecPlaces } from '../../../agent/runtime/tensorrt/places.ts';
import { askTrtexec } from '../../../agent/runtime/tensorrt/tool.ts';
import { makeStandIn, type StandIn } from '../../support/trtexec.ts';

let folder = '';
let standIn: StandIn;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-places-'));
  standIn = await makeStandIn({ version: '8.0.1' });
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await standIn.remove();
});

test('a configured path, and then no other', () => {
  expect(trtexecPlaces({ EDGEFIT_TRTEXEC: '/a/trtexec', PATH: '/bin' })).toEqual(['/a/trtexec']);
});

test('PATH first, without its relative parts, then where JetPack puts it', () => {
  const places = trtexecPlaces({ PATH: '/x/bin:.:/x/bin' });
  expect(places.slice(0, 2)).toEqual(['/x/bin/trtexec', '/usr/src/tensorrt/bin/trtexec']);
});

test('a folder, or a file that cannot be executed, is passed over', async () => {
  await mkdir(join(folder, 'a', 'trtexec'), { recursive: true });
  await mkdir(join(folder, 'b'));
  await writeFile(join(folder, 'b', 'trtexec'), 'no program');
  const PATH = [join(folder, 'a'), join(folder, 'b'), standIn.folder].join(':');
  expect(await findTrtexec({ PATH })).toEqual({ path: standIn.path });
});

test('a configured path that is no program is said', async () => {
  const found = await findTrtexec({ EDGEFIT_TRTEXEC: '/nowhere/trtexec', PATH: standIn.folder });
  expect(found).toEqual({ problem: expect.stringContaining('/nowhere/trtexec') });
});

test('its help says what it is', async () => {
  const { version, options, identity } = await askTrtexec(standIn.path);
  expect([version, identity]).toEqual([{ major: 8, minor: 0, patch: 1 }, '8.0.1']);
  expect(options.has('--buildOnly')).toBe(true);
  expect(options.has('--skipInference')).toBe(false);
});

test('another program of that name is refused', async () => {
  const path = join(folder, 'b', 'trtexec');
  await writeFile(path, '#!/bin/sh\necho usage: --help\n');
  await chmod(path, 0o755);
  await expect(askTrtexec(path)).rejects.toMatchObject({ code: 'START_FAILED' });
  await writeFile(path, '#!/nowhere/interpreter\n');
  await expect(askTrtexec(path)).rejects.toMatchObject({ kind: 'failure' });
});
