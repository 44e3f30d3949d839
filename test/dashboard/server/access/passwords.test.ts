import { scryptSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  hashPassword,
  isPasswordHash,
  PasswordChecker,
} from '../../../../agent/dashboard/server/access/passwords.ts';

/** Made here with cheap parameters, by scrypt itself and not by our code. */
function cheapHash(password: string): string {
  const salt = Buffer.from('0123456789abcdef');
  const hash = scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 });
  const plain = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '');
  return `$scrypt$ln=10,r=8,p=1$${plain(salt)}$${plain(hash)}`;
}

describe('passwords', () => {
  test('a hash opens with its password alone, whatever its parameters', async () => {
    const checker = new PasswordChecker();
    const stored = cheapHash('correct horse');
    expect(await checker.verify('correct horse', stored)).toBe(true);
    expect(await checker.verify('correct horsf', stored)).toBe(false);
    expect(await checker.verify('correct horse', await hashPassword('correct horse'))).toBe(true);
  });

  test('the same letters typed on another keyboard are the same password', async () => {
    const stored = cheapHash('caf\u00e9-table');
    expect(await new PasswordChecker().verify('cafe\u0301-table', stored)).toBe(true);
  });

  test('nobody of that name is checked too, and is never right', async () => {
    expect(await new PasswordChecker().verify('whatever', null)).toBe(false);
  });

  test.each([
    ['', 'nothing'],
    ['$scrypt$ln=30,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$', 'a gigantic cost'],
    [cheapHash('x').replace('ln=10', 'ln=31'), 'more memory than there is'],
    [cheapHash('x').replace('p=1', 'p=99'), 'minutes of work'],
    ['$argon2id$v=19$m=65536$c2FsdA$aGFzaA', 'another function'],
  ])('%j is no hash: %s', (stored) => {
    expect(isPasswordHash(stored)).toBe(false);
  });

  test('a flood of logins is turned away, and the others get their answer', async () => {
    const checker = new PasswordChecker();
    const stored = cheapHash('right');
    const logins = Array.from({ length: 60 }, () => checker.verify('right', stored));
    const ends = await Promise.allSettled(logins);
    const good = ends.filter((end) => end.status === 'fulfilled' && end.value);
    const busy = ends.filter((end) => end.status === 'rejected');
    // Two at once and sixteen that wait.
    expect(good).toHaveLength(18);
    expect(busy).toHaveLength(42);
    expect(busy[0]).toMatchObject({ reason: { code: 'busy' } });
    expect(await checker.verify('right', stored)).toBe(true);
  });
});
