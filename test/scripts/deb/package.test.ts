import { describe, expect, test } from '@jest/globals';
import {
  controlFile,
  debianChangelog,
  debianVersion,
  installedKib,
} from '../../../scripts/deb/control.js';
import { copyrightFile } from '../../../scripts/deb/copyright.js';
import { elfMachine, libstdcxxOf, neededVersions } from '../../../scripts/deb/elf.js';
import { nativeProblems } from '../../../scripts/deb/native.js';
import { PLATFORMS, platformOf } from '../../../scripts/deb/platforms.js';
import { isWanted } from '../../../scripts/deb/select-files.js';

const X64 = 62;
const ARM64 = 183;

/** The beginning of a 64-bit little-endian ELF file. */
function elf(machine: number): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes[18] = machine;
  return bytes;
}

describe('which files of node_modules are taken', () => {
  const text = () => new TextEncoder().encode('no program at all, just text');

  test.each([
    ['zod/index.js', true],
    ['zod/index.cjs', true],
    ['zod/package.json', true],
    ['zod/LICENSE', true],
    ['@img/colour/LICENSE.md', true],
    // Modules with the name of a folder of documents.
    ['yaml/dist/doc/Document.js', true],
    ['a/node_modules/b/lib/test/index.js', true],
    ['yaml/docs/page.js', false],
    ['a/node_modules/b/test/index.js', false],
    ['@scope/name/examples/x.js', false],
    ['zod/index.d.ts', false],
    ['zod/index.d.cts', false],
    ['zod/src/index.ts', false],
    ['mqtt/build/index.js.map', false],
    ['mqtt/dist/mqtt.min.js', false],
    ['mqtt/README.md', false],
    ['classic-level/deps/leveldb/db.cc', false],
    ['classic-level/binding.gyp', false],
    ['a/.github/workflows/x.yml', false],
    ['@types/node/package.json', false],
    ['.package-lock.json', false],
    ['.bin/semver', false],
  ])('%s: %s', (path, expected) => {
    expect(isWanted(path, text, PLATFORMS.amd64)).toBe(expected);
  });

  test.each([
    ['onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1', X64, true],
    ['onnxruntime-node/bin/napi-v6/linux/arm64/libonnxruntime.so.1', ARM64, false],
    ['@img/sharp-libvips-linux-x64/lib/libvips-cpp.so.8.18.7', X64, true],
    ['classic-level/prebuilds/linux-x64/classic-level.node', X64, true],
    ['classic-level/prebuilds/linux-x64/classic-level.musl.node', X64, false],
    ['@koromix/koffi-linux-x64/musl_x64/koffi.node', X64, false],
    ['tomorrow/prebuilds/android-x64/addon.node', X64, false],
  ])('native: %s of machine %i: %s', (path, machine, expected) => {
    expect(isWanted(path, () => elf(machine), PLATFORMS.amd64)).toBe(expected);
  });

  test('libraries of other systems are no ELF files', () => {
    expect(isWanted('o/win32/x64/onnxruntime.dll', text, PLATFORMS.amd64)).toBe(false);
    expect(isWanted('o/lib.1.30.0.dylib', text, PLATFORMS.arm64)).toBe(false);
  });
});

describe('native files', () => {
  test('the machine is read from the header', () => {
    expect(elfMachine(elf(ARM64))).toBe(183);
    expect(elfMachine(elf(X64).subarray(0, 10))).toBeNull();
    const bits32 = elf(40);
    bits32[4] = 1;
    expect(elfMachine(bits32)).toBeNull();
  });

  test('the newest versions asked for, whole words only', () => {
    const names =
      '\0GLIBC_2.9\0GLIBC_2.28\0GLIBC_2.2.5\0GLIBCXX_3.4.22\0xGLIBC_2.99\0GLIBC_2.40x\0';
    expect(neededVersions(new TextEncoder().encode(names))).toEqual({
      glibcMinor: 28,
      glibcxx: 22,
    });
  });

  test('libstdc++6 of the first GCC that has them', () => {
    expect([0, 22, 25, 26, 30].map(libstdcxxOf)).toEqual([7, 7, 8, 9, 12]);
    expect(() => libstdcxxOf(99)).toThrow('3.4.99');
  });

  test('what the control file does not promise is a problem, except for TFLite', () => {
    const file = { bytes: 1, machine: ARM64, glibcMinor: 28, libstdcxx: 8 };
    const files = [
      { ...file, path: 'node' },
      { ...file, path: 'a.node', glibcMinor: 29 },
      { ...file, path: 'b.node', machine: X64 },
      { ...file, path: 'vendor/tflite/linux-arm64/libtensorflowlite_c.so', glibcMinor: 29 },
    ];
    expect(nativeProblems(files, PLATFORMS.arm64)).toEqual([
      'a.node needs glibc 2.29, not 2.28',
      'b.node is for another machine (62)',
    ]);
  });
});

describe('the control file', () => {
  test('sizes as dpkg-gencontrol counts them', () => {
    // 1 B and 1024 B are a KiB each, 1025 B are two, a folder and a link one each, nothing is 0.
    const sizes = [0, 1, 1024, 1025].map((bytes) => ({ kind: 'file' as const, bytes }));
    const others = [
      { kind: 'folder' as const, bytes: 4096 },
      { kind: 'link' as const, bytes: 9 },
    ];
    expect(installedKib([...sizes, ...others])).toBe(0 + 1 + 1 + 2 + 1 + 1);
  });

  test('versions: a tilde sorts before the release', () => {
    expect(debianVersion('1.2.3')).toBe('1.2.3');
    expect(debianVersion('1.0.0-rc.1')).toBe('1.0.0~rc.1');
    expect(() => debianVersion('latest')).toThrow('latest');
  });

  test('says what the package is and needs', () => {
    const facts = { version: '1.2.3', architecture: 'arm64', sizeKib: 5 };
    const control = controlFile({ ...facts, description: 'Fits a model: probe, measure.' });
    expect(control).toContain('Architecture: arm64\n');
    expect(control).toContain('Installed-Size: 5\n');
    expect(control).toMatch(/^Depends: libc6 \(>= 2\.28\), libstdc\+\+6 \(>= 8\),/m);
    expect(control).toContain('\nDescription: fits a model\n The agent');
    expect(control.endsWith('\n')).toBe(true);
    expect(control).not.toMatch(/\n\n/);
  });

  test('the changelog has its date in the form of RFC 5322', () => {
    const log = debianChangelog({ version: '1.2.3', epochSeconds: 0 });
    expect(log).toMatch(/^edgefit \(1\.2\.3\) unstable; urgency=medium\n/);
    expect(log).toContain('>  Thu, 01 Jan 1970 00:00:00 +0000\n');
  });

  test('the copyright names every package inside', () => {
    const bundled = [{ name: 'zod', version: '4.0.0', licence: 'MIT' }];
    expect(copyrightFile(bundled, '20.1.0')).toMatch(/Node\.js 20\.1\.0[^]+ zod 4\.0\.0: MIT\n/);
  });
});

test('unknown platforms are refused with the list of known ones', () => {
  expect(platformOf('arm64').cpu).toBe('arm64');
  expect(() => platformOf('riscv64')).toThrow('amd64 arm64');
});
