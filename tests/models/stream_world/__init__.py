"""A small world in one process: a ledger, hubs, hosts and the network between them, every step drawn from a
seed. The hubs' rings and sessions and the hosts' protocol and replicas are the product's own; ledger, disks,
arenas and sockets are stood in for."""
