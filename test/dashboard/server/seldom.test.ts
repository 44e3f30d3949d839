import { expect, test } from '@jest/globals';
import { seldom } from '../../../agent/dashboard/server/seldom.ts';

test('the same thing is said once a minute, with how often it was left out', () => {
  const said: string[] = [];
  let now = 0;
  const log = seldom(
    (message) => said.push(message),
    () => now,
  );
  for (let request = 0; request < 50; request += 1) log('away');
  log('something else');
  now = 60_000;
  log('away');
  expect(said).toEqual(['away', 'something else', 'away (49 more)']);
});
