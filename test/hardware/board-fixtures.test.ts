// Boards as data: every file in test/fixtures/boards is a small machine and what the probe must say of
// it. The README of hardware-profiles promises that two such files add a board; the first test does
// what it says, with the files that it prints.
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { probe } from '../../agent/hardware/probe.ts';
import { knownProfiles, loadProfiles } from '../../agent/hardware/profiles.ts';
import { shippedPath } from '../../agent/util/paths.ts';
import { makeSysroot, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

const fixture = z.strictObject({
  files: z.record(z.string().startsWith('/'), z.string()),
  expected: z.record(z.string(), z.unknown()),
});

function parseFixture(text: string) {
  return fixture.parse(JSON.parse(text));
}

describe('as the README says', () => {
  const readme = readFileSync(shippedPath('hardware-profiles', 'README.md'), 'utf8');
  const [profile = '', board = ''] = [...readme.matchAll(/^ {3}```json\n([\s\S]+?)^ {3}```/gm)].map(
    ([, text]) => text ?? '',
  );
  const before = process.env['EDGEFIT_PROFILES'];
  let folder = '';
  beforeAll(() => {
    folder = makeSysroot({ '/acme-box-2.json': profile });
    process.env['EDGEFIT_PROFILES'] = folder;
  });
  afterAll(() => {
    if (before === undefined) delete process.env['EDGEFIT_PROFILES'];
    else process.env['EDGEFIT_PROFILES'] = before;
  });

  test('one profile and one fixture add a board', async () => {
    const { files, expected } = parseFixture(board);
    expect(await probe({ root: makeSysroot(files) })).toMatchObject(expected);
  });

  test('another board with the same SoC is not taken for it', async () => {
    const { files } = parseFixture(board);
    const other = { ...files, '/proc/device-tree/compatible': 'other,box\0rockchip,rk3568\0' };
    const facts = await probe({ root: makeSysroot(other) });
    expect(facts).toMatchObject({
      board: { id: 'generic-arm64' },
      profile: { id: 'generic-arm64-dotprod' },
    });
  });

  test('a profile of the board counts before one of its SoC', async () => {
    const { files } = parseFixture(board);
    const compatible = '/proc/device-tree/compatible';
    const withSoc = (...names: string[]) => {
      const text = [...names, 'rockchip,rk3588'].map((name) => `${name}\0`).join('');
      return probe({ root: makeSysroot({ ...files, [compatible]: text }) });
    };
    expect(await withSoc('acme,box-2')).toMatchObject({
      board: { id: 'acme-box-2' },
      profile: { id: 'acme-box-2' },
    });
    expect(await withSoc('radxa,rock-5b')).toMatchObject({ profile: { id: 'rk3588-rock5b' } });
    expect(await withSoc('other,box')).toMatchObject({
      board: { id: 'rk3588' },
      profile: { id: 'rk3588' },
    });
  });

  test('a profile of the user replaces the shipped one of its id', async () => {
    const text = readFileSync(shippedPath('hardware-profiles', 'rpi-5.json'), 'utf8');
    const own = makeSysroot({ '/rpi-5.json': text.replace('"max": 4', '"max": 3') });
    const shipped = await loadProfiles();
    const known = await knownProfiles({ EDGEFIT_PROFILES: own });
    expect(known.length).toBe(shipped.length);
    expect(known.find(({ id }) => id === 'rpi-5')?.threads.max).toBe(3);
  });

  test('a folder that is not there is named', async () => {
    await expect(knownProfiles({ EDGEFIT_PROFILES: '/nonexistent/own' })).rejects.toThrow(
      'cannot read /nonexistent/own: no such file or folder',
    );
  });
});

const folder = resolve(import.meta.dirname, '../fixtures/boards');

test.each(readdirSync(folder))('%s', async (name) => {
  const { files, expected } = parseFixture(readFileSync(join(folder, name), 'utf8'));
  expect(await probe({ root: makeSysroot(files) })).toMatchObject(expected);
});

test('every board with a profile of its own has a fixture', async () => {
  const boards = (await loadProfiles()).flatMap(({ match }) => match.boards);
  const fixtures = readdirSync(folder).map((name) => name.replace('.json', ''));
  expect(fixtures).toEqual(expect.arrayContaining(boards));
});
