import { createPublicKey, verify } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { makeKeyFile, openKey, parseKeyFile, publicPart } from '../../agent/deploy/key-file.ts';

const PASSPHRASE = 'correct horse battery staple';

test('a key survives its file, and signs what its public half verifies', async () => {
  const text = JSON.stringify(await makeKeyFile(PASSPHRASE, 'release'));
  expect(text).not.toContain(PASSPHRASE);
  const file = parseKeyFile(text, 'release.key');
  const key = await openKey(file, PASSPHRASE, 'release.key');
  const spki = Buffer.from(`302a300506032b6570032100${file.public}`, 'hex');
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const bytes = Buffer.from('a release');
  expect(verify(null, bytes, publicKey, key.sign(bytes))).toBe(true);
  await expect(openKey(file, 'wrong', 'release.key')).rejects.toMatchObject({
    code: 'BAD_PASSPHRASE',
  });
  const half = parseKeyFile(JSON.stringify(publicPart(file)), 'release.pub');
  await expect(openKey(half, PASSPHRASE, 'release.pub')).rejects.toMatchObject({
    code: 'BAD_KEY_FILE',
  });
});

test.each([
  ['no JSON', '{'],
  ['another document', '{"schema":"edgefit/facts/1"}'],
  [
    'an id that belongs to another key',
    `{"schema":"edgefit/key/1","keyId":"${'0'.repeat(64)}","public":"${'1'.repeat(64)}"}`,
  ],
])('%s is no key file', (_, text) => {
  expect(() => parseKeyFile(text, 'x.key')).toThrow(
    expect.objectContaining({ code: 'BAD_KEY_FILE' }),
  );
});
