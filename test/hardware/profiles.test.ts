import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import { format } from 'prettier';
import type { DeviceFacts } from '../../agent/contracts/facts.ts';
import type { HardwareProfile } from '../../agent/contracts/profile.ts';
import { readDevice } from '../../agent/hardware/probe.ts';
import {
  loadProfiles,
  matchProfile,
  parseProfile,
  profileJsonSchema,
  runtimesFor,
} from '../../agent/hardware/profiles.ts';
import { shippedPath } from '../../agent/util/paths.ts';
import { makeSysroot, removeSysroots } from '../support/sysroot.ts';

afterAll(removeSysroots);

const profiles = await loadProfiles();
const empty = await readDevice({ root: makeSysroot({}) });

function machine(id: string, arch: string, features: string, gpu = false): DeviceFacts {
  return {
    ...empty,
    board: { ...empty.board, id },
    cpu: { ...empty.cpu, arch, features: features.split(' ') },
    accelerators: gpu ? [{ kind: 'nvidia-gpu', usable: true }] : [],
  };
}

function profile(id: string): HardwareProfile {
  return profiles.find((one) => one.id === id)!;
}

/** The first integer scheme for onnxruntime. */
function firstInteger(id: string) {
  return profile(id).schemes.find(
    (scheme) => 'activations' in scheme && (scheme.runtimes?.includes('onnxruntime') ?? true),
  );
}

function goodProfile(): object {
  return JSON.parse(readFileSync(shippedPath('hardware-profiles', 'rpi-4b.json'), 'utf8'));
}

describe('matchProfile', () => {
  test.each([
    ['generic-x86-64', 'x64', 'avx2 fma avx512f avx512_vnni', 'generic-x86-64-vnni'],
    ['generic-x86-64', 'x64', 'avx2 fma avx_vnni', 'generic-x86-64-vnni'],
    ['generic-x86-64', 'x64', 'avx2 fma', 'generic-x86-64'],
    ['generic-arm64', 'arm64', 'asimd asimddp fphp asimdhp', 'generic-arm64-dotprod'],
    ['generic-arm64', 'arm64', 'asimd', 'generic-arm64'],
    ['generic-arm64', 'arm64', 'asimd fphp asimdhp', 'generic-arm64'],
    ['generic-arm', 'arm', 'neon vfpv4', 'generic-arm'],
    ['generic', 'riscv64', '', 'generic'],
    // A board known by name goes before what its features say.
    ['rpi-5', 'arm64', 'asimd asimddp fphp asimdhp', 'rpi-5'],
    ['rpi-4b', 'arm', 'neon vfpv4', 'rpi-4b'],
    // A board without a profile of its own gets that of its architecture.
    ['new-board', 'arm64', 'asimd', 'generic-arm64'],
  ])('%s %s %s -> %s', (board, arch, features, id) => {
    expect(matchProfile(machine(board, arch, features), profiles).id).toBe(id);
  });

  test('an unknown Jetson module is still a Jetson', () => {
    const facts = machine('generic-arm64', 'arm64', 'asimd asimddp fphp asimdhp', true);
    expect(matchProfile(facts, profiles).id).toBe('jetson');
  });

  test('says so when nothing fits', () => {
    expect(() => matchProfile(machine('rpi-5', 'arm64', ''), [profile('generic-arm')])).toThrow(
      'no hardware profile fits rpi-5 (arm64)',
    );
  });
});

describe('what the profiles say', () => {
  const BOARDS =
    'rpi-zero-2w rpi-3b rpi-3b-plus rpi-4b rpi-400 rpi-cm4 rpi-5 rpi-cm5 coral-dev-board ' +
    'coral-dev-board-mini jetson-nano jetson-tx2 jetson-xavier-nx jetson-agx-xavier jetson-orin-nano ' +
    'jetson-orin-nx jetson-agx-orin jetson-agx-thor rk3588-rock5b';

  test.each(BOARDS.split(' '))('%s has a profile of its own', (board) => {
    expect(matchProfile(machine(board, 'arm64', 'asimd'), profiles).id).toBe(board);
  });

  test('every precision to try has a scheme, and none is called not worth trying', () => {
    for (const { precisions, schemes, notWorthTrying } of profiles) {
      expect(schemes.map(({ precision }) => precision)).toEqual(expect.arrayContaining(precisions));
      expect(notWorthTrying.filter(({ precision }) => precisions.includes(precision))).toEqual([]);
    }
  });

  test('a board has its limits: memory for calibration, heat, power', () => {
    for (const { id, match, calibration, thermal, power } of profiles) {
      const complete = [calibration, thermal, power].every((part) => part !== undefined);
      expect({ id, complete }).toEqual({ id, complete: match.boards.length > 0 });
    }
  });

  test('Xavier and newer: INT8 on the GPU must be a tenth faster than FP16', () => {
    const strict = profiles.filter(({ gains }) => gains.length > 0);
    expect(strict.map(({ id }) => id)).toEqual(
      ['agx-orin', 'agx-thor', 'agx-xavier', 'orin-nano', 'orin-nx', 'xavier-nx'].map(
        (name) => `jetson-${name}`,
      ),
    );
    for (const { gains } of strict) {
      expect(gains).toMatchObject([
        { precision: 'int8', over: 'fp16', runtimes: ['tensorrt'], min: 0.1 },
      ]);
    }
  });

  test('a scheme is only for runtimes of its profile', () => {
    for (const { schemes, runtimes } of profiles) {
      const named = schemes.flatMap((scheme) => scheme.runtimes ?? []);
      expect(named.filter((runtime) => !runtimes.includes(runtime))).toEqual([]);
    }
  });

  test.each([
    [
      'generic-x86-64-vnni',
      { activations: 'u8', weights: 's8', perChannel: true, reduceRange: false },
    ],
    // VPMADDUBSW saturates: without VNNI the weights get seven bits.
    ['generic-x86-64', { activations: 'u8', weights: 's8', perChannel: true, reduceRange: true }],
    ['rpi-4b', { activations: 's8', weights: 's8', perChannel: true, reduceRange: false }],
    ['rpi-5', { activations: 's8', weights: 's8', perChannel: true, reduceRange: false }],
  ])('%s starts with the INT8 form of its kernels', (id, scheme) => {
    expect(firstInteger(id)).toMatchObject({ method: 'static', ...scheme });
  });

  test.each([
    ['rpi-4b', ['int8', 'fp32'], 'tflite'],
    ['rpi-5', ['int8', 'fp16', 'fp32'], 'tflite'],
    ['jetson-nano', ['fp16', 'fp32'], 'tensorrt'],
    ['jetson-tx2', ['fp16', 'fp32'], 'tensorrt'],
    ['jetson-xavier-nx', ['fp16', 'int8', 'fp32'], 'tensorrt'],
    ['jetson-orin-nano', ['fp16', 'int8', 'fp32'], 'tensorrt'],
    ['jetson-agx-orin', ['fp16', 'int8', 'fp32'], 'tensorrt'],
    ['coral-dev-board', ['int8', 'fp32'], 'tflite'],
    ['generic-x86-64', ['int8', 'fp32'], 'onnxruntime'],
  ])('%s tries %j', (id, precisions, runtime) => {
    expect(profile(id)).toMatchObject({ precisions });
    expect(profile(id).runtimes[0]).toBe(runtime);
  });
});

test.each(['jetson-nano', 'jetson-tx2'])('%s tries INT8 on the CPU only', (id) => {
  const integer = profile(id).schemes.filter(({ precision }) => precision === 'int8');
  expect(integer.map(({ runtimes }) => runtimes)).toEqual([['onnxruntime', 'tflite'], ['tflite']]);
});

test.each([
  ['rpi-4b', 'arm64', ['tflite', 'onnxruntime']],
  ['rpi-4b', 'arm', ['tflite']],
  ['rpi-4b', 'unknown', ['tflite', 'onnxruntime']],
  ['generic', 'riscv64', ['tflite']],
])('runtimes of %s on %s: %j', (id, arch, runtimes) => {
  expect(runtimesFor(profile(id), arch)).toEqual(runtimes);
});

describe('profile files', () => {
  test('schema.json is that of the code', async () => {
    const path = shippedPath('hardware-profiles', 'schema.json');
    const text = await format(JSON.stringify(profileJsonSchema()), { parser: 'json' });
    if (process.env['UPDATE_SCHEMAS'] === '1') writeFileSync(path, text);
    // After a change of the schema: UPDATE_SCHEMAS=1 npm run jest -- test/hardware/profiles
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(profileJsonSchema());
  });

  test('each file is named after its id', () => {
    for (const { id } of profiles) {
      const text = readFileSync(shippedPath('hardware-profiles', `${id}.json`), 'utf8');
      expect(parseProfile(`${id}.json`, text).id).toBe(id);
    }
  });

  test.each([
    ['not JSON', () => '{', 'it is not JSON'],
    [
      'a wrong precision',
      () => JSON.stringify({ ...goodProfile(), precisions: ['int3'] }),
      'precisions.0: ',
    ],
    ['an unknown field', () => JSON.stringify({ ...goodProfile(), colour: 1 }), 'colour'],
    ['no schemes', () => JSON.stringify({ ...goodProfile(), schemes: [] }), 'schemes: '],
    [
      'a broken rule',
      () => JSON.stringify({ ...goodProfile(), match: { boards: 'rpi-4b' } }),
      'match.boards: ',
    ],
  ])('%s is named with file and field', async (_, text, what) => {
    const folder = makeSysroot({ '/broken.json': text() });
    await expect(loadProfiles(folder)).rejects.toMatchObject({
      code: 'BAD_PROFILE',
      message: expect.stringMatching(/bad hardware profile .*broken\.json: /),
    });
    await expect(loadProfiles(folder)).rejects.toThrow(what);
  });

  test('two files with one id are refused', async () => {
    const text = JSON.stringify(goodProfile());
    const folder = makeSysroot({ '/a.json': text, '/b.json': text });
    await expect(loadProfiles(folder)).rejects.toThrow(
      'b.json: id: "rpi-4b" is also that of a.json',
    );
  });

  test('a missing folder is named', async () => {
    await expect(loadProfiles('/nonexistent/profiles')).rejects.toThrow(
      'cannot read /nonexistent/profiles: no such file or folder',
    );
  });
});
