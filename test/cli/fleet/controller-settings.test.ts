import { describe, expect, test } from '@jest/globals';
import { controllerSettings } from '../../../agent/cli/fleet/controller-settings.ts';

const FLAGS = {
  id: 'ctl-a',
  mqtt: 'mqtt://hub',
  repository: 'https://models.example',
  key: 'controller.key',
  state: '/var/lib/edgefit-controller',
};

describe('settings of a controller', () => {
  test('take the database and the folder from the environment, where no option gives them', async () => {
    const { state: _, ...flags } = FLAGS;
    const env = { EDGEFIT_POSTGRES_URL: 'postgresql:///edgefit', STATE_DIRECTORY: '/var/lib/x' };
    const found = await controllerSettings(flags, env);
    expect(found).toMatchObject({ postgres: 'postgresql:///edgefit', state: '/var/lib/x' });
    const postgres = 'postgres://someone:secret@hub/edgefit';
    expect((await controllerSettings({ ...flags, postgres }, env)).postgres).toBe(postgres);
  });

  test.each([
    [{ id: 'a/b' }, '--id "a/b": use'],
    [{ repository: 'models.example' }, '--repository: not a URL of this kind: write https://'],
    [{ repository: 'file:///models' }, '--repository: not a URL of this kind'],
    [{ postgres: 'edgefit' }, '--postgres: not a URL of this kind: write postgres://HOST/DATABASE'],
    [{ postgres: 'http://hub/edgefit' }, '--postgres: not a URL of this kind'],
    [{ metrics: 'x' }, '--metrics "x": use HOST:PORT'],
  ])('refuse %j', async (part, message) => {
    await expect(controllerSettings({ ...FLAGS, ...part }, {})).rejects.toThrow(message);
  });

  test('never show a password', async () => {
    const postgres = 'postgres://someone:secret-word@[/edgefit';
    const failure = await controllerSettings({ ...FLAGS, postgres }, {}).catch(String);
    expect(failure).toContain('--postgres');
    expect(failure).not.toContain('secret-word');
  });
});
