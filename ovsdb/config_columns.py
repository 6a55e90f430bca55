"""The tables and columns that `ensure` reads and writes, beyond those that are monitored.

Columns: ovs-vswitchd.conf.db(5).
"""

from __future__ import annotations

from collections.abc import Mapping

from ovsdb.columns import TABLES, Kind

_NAMED = {"name": Kind.STRING, "external_ids": Kind.MAP}

CONFIG: Mapping[str, Mapping[str, Kind]] = {
    "Open_vSwitch": {
        **TABLES["Open_vSwitch"],
        "manager_options": Kind.UUIDS,
        "ssl": Kind.OPTIONAL_UUID,
        "bridges": Kind.UUIDS,
    },
    "Bridge": {
        **_NAMED,
        "ports": Kind.UUIDS,
        "mirrors": Kind.UUIDS,
        "netflow": Kind.OPTIONAL_UUID,
        "sflow": Kind.OPTIONAL_UUID,
        "ipfix": Kind.OPTIONAL_UUID,
    },
    "Port": {
        **_NAMED,
        "interfaces": Kind.UUIDS,
        "tag": Kind.OPTIONAL_INTEGER,
        "trunks": Kind.INTEGERS,
        "vlan_mode": Kind.OPTIONAL_STRING,
        "qos": Kind.OPTIONAL_UUID,
    },
    "Interface": {
        **TABLES["Interface"],
        "options": Kind.MAP,
        "mac": Kind.OPTIONAL_STRING,
        "mtu_request": Kind.OPTIONAL_INTEGER,
        "bfd": Kind.MAP,
        "ingress_policing_rate": Kind.INTEGER,
        "ingress_policing_burst": Kind.INTEGER,
    },
    "QoS": {
        "type": Kind.STRING,
        "queues": Kind.NUMBERED_UUIDS,
        "other_config": Kind.MAP,
        "external_ids": Kind.MAP,
    },
    "Queue": {"dscp": Kind.OPTIONAL_INTEGER, "other_config": Kind.MAP, "external_ids": Kind.MAP},
    "Mirror": {
        **_NAMED,
        "select_all": Kind.BOOLEAN,
        "select_src_port": Kind.UUIDS,
        "select_dst_port": Kind.UUIDS,
        "select_vlan": Kind.INTEGERS,
        "output_port": Kind.OPTIONAL_UUID,
        "output_vlan": Kind.OPTIONAL_INTEGER,
        "snaplen": Kind.OPTIONAL_INTEGER,
    },
    "NetFlow": {
        "targets": Kind.STRINGS,
        "engine_type": Kind.OPTIONAL_INTEGER,
        "engine_id": Kind.OPTIONAL_INTEGER,
        "add_id_to_interface": Kind.BOOLEAN,
        "active_timeout": Kind.INTEGER,
        "external_ids": Kind.MAP,
    },
    "sFlow": {
        "targets": Kind.STRINGS,
        "sampling": Kind.OPTIONAL_INTEGER,
        "polling": Kind.OPTIONAL_INTEGER,
        "header": Kind.OPTIONAL_INTEGER,
        "agent": Kind.OPTIONAL_STRING,
        "external_ids": Kind.MAP,
    },
    "IPFIX": {
        "targets": Kind.STRINGS,
        "sampling": Kind.OPTIONAL_INTEGER,
        "obs_domain_id": Kind.OPTIONAL_INTEGER,
        "obs_point_id": Kind.OPTIONAL_INTEGER,
        "cache_active_timeout": Kind.OPTIONAL_INTEGER,
        "cache_max_flows": Kind.OPTIONAL_INTEGER,
        "external_ids": Kind.MAP,
    },
    "SSL": {
        "private_key": Kind.STRING,
        "certificate": Kind.STRING,
        "ca_cert": Kind.STRING,
        "bootstrap_ca_cert": Kind.BOOLEAN,
        "external_ids": Kind.MAP,
    },
    "Manager": {
        "target": Kind.STRING,
        "connection_mode": Kind.OPTIONAL_STRING,
        "inactivity_probe": Kind.OPTIONAL_INTEGER,
        "max_backoff": Kind.OPTIONAL_INTEGER,
        "external_ids": Kind.MAP,
    },
    "Controller": {"target": Kind.STRING, "external_ids": Kind.MAP},
}
"""By table: the columns, with what they hold."""
