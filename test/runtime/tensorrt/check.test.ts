import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { trtexecChecks } from '../../../agent/runtime/tensorrt/check.ts';
import { probe } from '../../../agent/hardware/probe.ts';
import { orinNano } from '../../support/orin.ts';
import { makeSysroot, raspberryPi4, removeSysroots } from '../../support/sysroot.ts';
import { makeStandIn, type StandIn } from '../../support/trtexec.ts';

let standIn: StandIn;
beforeAll(async () => {
  standIn = await makeStandIn({ version: '10.3.0' });
});
afterAll(async () => {
  removeSysroots();
  await standIn.remove();
});

const jetson = await probe({ root: makeSysroot(orinNano()) });
const pi = await probe({ root: makeSysroot(raspberryPi4()) });
const NOBODY = { PATH: '/nowhere' };

async function finding(env: Record<string, string>) {
  const [check] = trtexecChecks(jetson, env);
  expect(check).toMatchObject({ id: 'trtexec', severity: 'optional' });
  return check?.run(new AbortController().signal);
}

test('there: its version and where it is', async () => {
  await expect(finding({ PATH: standIn.folder })).resolves.toEqual({
    ok: true,
    found: `version 10.3.0: ${standIn.path}`,
    facts: { version: '10.3.0', path: standIn.path },
  });
});

test('not there: how to get it', async () => {
  await expect(finding(NOBODY)).resolves.toMatchObject({
    ok: false,
    found: 'trtexec is neither on PATH nor in /usr/src/tensorrt/bin',
    mend: expect.stringContaining('apt install nvidia-jetpack'),
  });
});

test('named, but no program: mend the name', async () => {
  await expect(finding({ EDGEFIT_TRTEXEC: '/nowhere/trtexec' })).resolves.toMatchObject({
    ok: false,
    found: 'EDGEFIT_TRTEXEC names /nowhere/trtexec, which is no program',
    mend: 'mend or unset it',
  });
});

test('one whose libraries are missing: what it said, and the fix', async () => {
  const path = join(standIn.folder, 'broken');
  const said = 'error while loading shared libraries: libnvinfer.so.8: cannot open shared object';
  await writeFile(path, `#!/bin/sh\necho "trtexec: ${said}" >&2; exit 127\n`);
  await chmod(path, 0o755);
  await expect(finding({ EDGEFIT_TRTEXEC: path })).resolves.toMatchObject({
    ok: false,
    found: expect.stringContaining('libnvinfer.so.8'),
    mend: expect.stringContaining('libnvinfer-bin'),
  });
});

test('other machines are not asked, unless somebody names one', () => {
  expect(trtexecChecks(pi, NOBODY)).toEqual([]);
  expect(trtexecChecks(pi, { EDGEFIT_TRTEXEC: standIn.path })).toHaveLength(1);
});
