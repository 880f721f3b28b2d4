"""An outside watcher: prints which brokers are alive, from what README and coord/src/paths.rs say of ZooKeeper's nodes.

Usage: watch_zookeeper.py HOST:PORT ROOT. Prints a line whenever the brokers have changed, and after the first line the
controller, a topic and one of its partitions when it is told to by a line on standard input. Ends with standard input.
"""

import json
import sys

from kazoo.client import KazooClient


def read(client, path):
    data, _ = client.get(path)
    record = json.loads(data)
    assert record["v"] == 1, record
    return record


def main():
    hosts, root = sys.argv[1:]
    client = KazooClient(hosts=hosts + root)
    client.start()

    @client.ChildrenWatch("/brokers/ids")
    def on_brokers(ids):
        brokers = []
        for broker in sorted(ids, key=int):
            try:
                brokers.append(f"{broker}@{read(client, '/brokers/ids/' + broker)['addresses'][0]}")
            except Exception:  # It has gone between the two reads.
                pass
        print("brokers", *brokers, flush=True)

    for line in sys.stdin:
        topic = read(client, "/topics/" + line.strip())
        partition = read(client, f"/t/{topic['topic_id']}/p/0")
        placement = read(client, f"/t/{topic['topic_id']}/a/0")["partitions"][0]
        controller = read(client, "/controller")
        print(
            "topic",
            f"partitions={topic['partitions']}",
            f"state={topic['state']}",
            f"leader={partition['leader']}",
            f"replicas={placement['replicas']}",
            f"controller={controller['broker']}",
            flush=True,
        )
    client.stop()


main()
