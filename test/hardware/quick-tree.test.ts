import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { quickTree } from '../../agent/hardware/quick-tree.ts';
import { openTree } from '../../agent/hardware/tree.ts';
import { makeSysroot, putFile, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

test('every reading is a new one, through links that stay inside the root', async () => {
  const root = makeSysroot({ '/sys/devices/chip/temp': '1\n' });
  mkdirSync(join(root, 'sys/class'));
  symlinkSync('/sys/devices/chip', join(root, 'sys/class/chip'));
  const tree = quickTree(await openTree(root));
  await expect(tree.readText('/sys/class/chip/temp')).resolves.toBe('1\n');
  putFile(root, '/sys/devices/chip/temp', '22\n');
  await expect(tree.readText('/sys/class/chip/temp')).resolves.toBe('22\n');
  putFile(root, '/sys/devices/chip/temp', '3\n');
  await expect(tree.readText('/sys/class/chip/temp')).resolves.toBe('3\n');
});

test('a file that grows long is still read whole; one that goes away is an error, and may come back', async () => {
  const root = makeSysroot({ '/sys/x': 'a' });
  const tree = quickTree(await openTree(root));
  await expect(tree.readText('/sys/x')).resolves.toBe('a');
  putFile(root, '/sys/x', 'b'.repeat(10_000));
  await expect(tree.readText('/sys/x')).resolves.toHaveLength(10_000);
  renameSync(join(root, 'sys/x'), join(root, 'sys/y'));
  await expect(tree.readText('/sys/x')).rejects.toMatchObject({ code: 'ENOENT' });
  putFile(root, '/sys/x', 'c');
  await expect(tree.readText('/sys/x')).resolves.toBe('c');
  rmSync(join(root, 'sys/x'));
  mkdirSync(join(root, 'sys/x'));
  await expect(tree.readText('/sys/x')).rejects.toMatchObject({ code: 'EISDIR' });
});
