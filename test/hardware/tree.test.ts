import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, test } from '@jest/globals';
import { openTree } from '../../agent/hardware/tree.ts';
import { makeSysroot, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

describe('a recorded tree', () => {
  test.each([
    ['that does not exist', (root: string) => join(root, 'missing'), 'no such folder'],
    ['without a name', () => '', 'no folder is given'],
    ['that is something else', (root: string) => join(root, 'other'), 'it holds neither'],
    ['that is a file', (root: string) => join(root, 'file'), 'not a folder'],
  ])('refuses a root %s in one line', async (_, at, why) => {
    const root = makeSysroot({ '/file': 'x', '/other/file': '' });
    await expect(openTree(at(root))).rejects.toMatchObject({
      name: 'HardwareError',
      kind: 'input',
      code: 'ROOT_NOT_A_FOLDER',
      message: expect.stringMatching(new RegExp(`^[^\\n]*${why}[^\\n]*$`)),
    });
  });

  test('resolves absolute links and .. inside the root', async () => {
    const root = makeSysroot({ '/sys/firmware/devicetree/base/model': 'inside' });
    symlinkSync('/sys/firmware/devicetree/base', join(root, 'proc/device-tree'));
    symlinkSync('../../../../../../../../etc/hostname', join(root, 'proc/escape'));
    symlinkSync('/etc/hostname', join(root, 'proc/absolute'));
    const tree = await openTree(root);
    await expect(tree.readText('/proc/device-tree/model')).resolves.toBe('inside');
    // These exist on the machine that runs the test, and must not be reached.
    await expect(tree.readText('/proc/escape')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(tree.readText('/proc/absolute')).rejects.toMatchObject({ code: 'ENOENT' });
    writeFileSync(join(root, 'sys/x'), '');
    await expect(tree.exists('/../../sys/x')).resolves.toBe(true);
  });

  test.each(['proc', 'sys'])('may hold %s alone', async (name) => {
    const root = join(makeSysroot({}), 'recorded');
    mkdirSync(join(root, name), { recursive: true });
    await expect(openTree(root)).resolves.toMatchObject({ live: false });
  });

  test('ends a circle of links', async () => {
    const root = makeSysroot({});
    symlinkSync('b', join(root, 'a'));
    symlinkSync('a', join(root, 'b'));
    await expect((await openTree(root)).readText('/a')).rejects.toMatchObject({ code: 'ELOOP' });
  });

  test('refuses folders, pipes and devices', async () => {
    const root = makeSysroot({ '/folder/x': '' });
    expect(spawnSync('mkfifo', [join(root, 'pipe')]).status).toBe(0);
    const tree = await openTree(root);
    await expect(tree.readText('/folder')).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(tree.readText('/pipe')).rejects.toMatchObject({ code: 'ENOTREG' });
  });

  test('lists names in natural order', async () => {
    const root = makeSysroot({ '/d/zone10': '', '/d/zone2': '', '/d/zone0': '' });
    await expect((await openTree(root)).list('/d')).resolves.toEqual(['zone0', 'zone2', 'zone10']);
  });
});
