import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import type { IClientOptions, MqttClient } from 'mqtt';
import { afterThisTest, folderWith, mosquitto } from '../support/harness.ts';
import type { Mosquitto } from '../support/mosquitto.ts';

/** May do everything: what the test compares the others with. */
const JUDGE = 'judge';

export interface GuardedBroker extends Mosquitto {
  readonly folder: string;
  readonly aclPath: string;
  readonly passwordPath: string;
  /** Makes the broker read its files again. */
  readonly reload: () => Promise<void>;
  readonly client: (user: string, more?: IClientOptions) => Promise<MqttClient>;
  readonly judge: MqttClient;
}

/** A mosquitto with this ACL, where the password of everybody is the name. */
export async function guarded(acl: string, users: readonly string[]): Promise<GuardedBroker> {
  const folder = folderWith({ acl: `user ${JUDGE}\ntopic readwrite #\n\n${acl}`, passwords: '' });
  const aclPath = join(folder, 'acl');
  const passwordPath = join(folder, 'passwords');
  for (const user of [JUDGE, ...users]) {
    execFileSync('mosquitto_passwd', ['-b', passwordPath, user, user], { stdio: 'pipe' });
  }
  const broker = await mosquitto(
    'allow_anonymous false',
    `acl_file ${aclPath}`,
    `password_file ${passwordPath}`,
  );
  const client = async (user: string, more: IClientOptions = {}) => {
    const one = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
      protocolVersion: 5,
      reconnectPeriod: 0,
      username: user,
      password: user,
      ...more,
    });
    afterThisTest(() => one.endAsync(true));
    return one;
  };
  return {
    ...broker,
    folder,
    aclPath,
    passwordPath,
    reload: async () => {
      broker.process.kill('SIGHUP');
      await sleep(300);
    },
    client,
    judge: await client(JUDGE),
  };
}

/** Which of the topics a user may write: those whose message is acknowledged without a refusal. */
export async function writable(client: MqttClient, topics: readonly string[]): Promise<string[]> {
  const outcomes = await Promise.all(
    topics.map((topic) =>
      client.publishAsync(topic, 'x', { qos: 1 }).then(
        () => true,
        (error: unknown) => {
          if (String(error).includes('Not authorized')) return false;
          throw error;
        },
      ),
    ),
  );
  return topics.filter((_, at) => outcomes[at]);
}

/** Which of the topics a user may read: the judge puts something there first. */
export async function readable(
  { judge }: GuardedBroker,
  client: MqttClient,
  topics: readonly string[],
): Promise<string[]> {
  const heard = new Set<string>();
  const onMessage = (topic: string) => heard.add(topic);
  client.on('message', onMessage);
  await client.subscribeAsync('#', { qos: 1 });
  for (const topic of topics) {
    // oxlint-disable-next-line no-await-in-loop -- in order, the last one ends the wait
    await judge.publishAsync(topic, 'x', { qos: 1 });
  }
  await sleep(200);
  client.off('message', onMessage);
  await client.unsubscribeAsync('#');
  return topics.filter((topic) => heard.has(topic));
}

export function put(path: string, text: string): void {
  writeFileSync(path, text);
}
