# shellcheck shell=bash disable=SC2154  # set by lib/run.sh and up
# Writes what the parts of a run read: keys, tokens, passwords, settings. All of
# it is made anew for each run. Sourced by up, after lib/run.sh; works in
# $run/config and expects $node_address and $host_address.

pod_network=10.244.0.0/24
service_network=10.96.0.0/16
service_address=10.96.0.1
account=converter

random_secret() { od -An -N18 -tx1 /dev/urandom | tr -d ' \n'; }

write_config() {
    password="$(random_secret)"
    cat >settings <<-END
		node=$node
		node_address=$node_address
		pod_network=$pod_network
		service_network=$service_network
		mongodb_folder=$(basename "$mongodb_cache")
		mariadb_folder=$(basename "$(mariadb_cache)")
		pods=${CLUSTER_PODS:-}
	END
    printf '127.0.0.1 localhost\n%s %s\n' "$node_address" "$node" >hosts
    : >resolv.conf
    write_keys
    write_users
    write_containerd
    write_kubelet
    [[ ! ${CLUSTER_PODS:-} ]] || write_dns
    write_rabbitmq
    write_mariadb
}

# One authority; the API server's certificate; the API server's own certificate
# towards the kubelet; the key that signs service account tokens.
write_keys() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650)
    openssl req -x509 "${key[@]}" -keyout ca.key -out ca.crt -subj /CN=audio-converter-tests
    openssl req -x509 "${key[@]}" -CA ca.crt -CAkey ca.key -keyout apiserver.key -out apiserver.crt \
        -subj /CN=kube-apiserver -addext basicConstraints=CA:FALSE -addext extendedKeyUsage=serverAuth \
        -addext "subjectAltName=IP:$node_address,IP:127.0.0.1,IP:$service_address,DNS:localhost,DNS:kubernetes.default.svc,DNS:kubernetes.default"
    openssl req -x509 "${key[@]}" -CA ca.crt -CAkey ca.key -keyout kubelet-client.key -out kubelet-client.crt \
        -subj /O=system:masters/CN=kube-apiserver -addext basicConstraints=CA:FALSE -addext extendedKeyUsage=clientAuth
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out accounts.key
    openssl pkey -in accounts.key -pubout -out accounts.pub
} 2>openssl.log

write_users() {
    : >tokens.csv
    write_user admin admin "https://$node_address:6443" system:masters
    write_user controller-manager system:kube-controller-manager https://127.0.0.1:6443 system:masters
    write_user scheduler system:kube-scheduler https://127.0.0.1:6443 ''
    write_user proxy system:kube-proxy https://127.0.0.1:6443 ''
    write_user dns coredns https://127.0.0.1:6443 system:masters
    write_user kubelet "system:node:$node" https://127.0.0.1:6443 system:nodes
    write_user worker "system:node:$node-worker" https://127.0.0.1:6443 system:nodes
}

# write_user FILE USER SERVER GROUP
write_user() {
    local token
    token="$(random_secret)"
    echo "$token,$2,$2,\"$4\"" >>tokens.csv
    cat >"$1.kubeconfig" <<-END
		apiVersion: v1
		kind: Config
		current-context: cluster
		contexts: [{name: cluster, context: {cluster: cluster, user: user}}]
		clusters: [{name: cluster, cluster: {server: "$3", certificate-authority-data: $(base64 -w0 ca.crt)}}]
		users: [{name: user, user: {token: $token}}]
	END
}

# Overlay on overlay does not mount (a run folder inside a container), so there
# each layer is copied instead.
write_containerd() {
    local snapshotter=overlayfs
    [[ $(stat -f -c %T "$run") != overlayfs ]] || snapshotter=native
    cat >containerd.toml <<-END
		version = 2
		root = "/var/lib/containerd"
		state = "/run/containerd"
		disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
		  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
		  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
		[grpc]
		address = "/run/containerd/containerd.sock"
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "$pause_image"
		# Without CAP_SYS_RESOURCE the score of a sandbox cannot be lowered.
		restrict_oom_score_adj = true
		[plugins."io.containerd.grpc.v1.cri".containerd]
		snapshotter = "$snapshotter"
		default_runtime_name = "runc"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		runtime_type = "io.containerd.runc.v2"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
		SystemdCgroup = false
		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "/usr/lib/cni"
		conf_dir = "/run/cluster/config/cni"
	END
    mkdir cni
    cat >cni/pods.conflist <<-END
		{"cniVersion": "0.4.0", "name": "pods", "plugins": [
		  {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
		   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$pod_network"}]],
		            "routes": [{"dst": "0.0.0.0/0"}]}}]}
	END
}

write_kubelet() {
    cat >kubelet.yaml <<-END
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /run/cluster/config/ca.crt}}
		authorization: {mode: Webhook}
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		cgroupDriver: cgroupfs
		cgroupRoot: /$node
		cgroupsPerQOS: true
		enforceNodeAllocatable: []
		failSwapOn: false
		resolvConf: /run/cluster/config/resolv.conf
		volumePluginDir: /var/lib/kubelet/volumeplugins
		serializeImagePulls: false
		registryPullQPS: 0
		eventRecordQPS: 0
		kubeAPIQPS: 200
		kubeAPIBurst: 400
		imageGCHighThresholdPercent: 100
		evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
	END
}

# Names of Services, and none but those. Pods ask at the node's own address.
write_dns() {
    cat >Corefile <<-END
		cluster.local in-addr.arpa ip6.arpa {
		  errors
		  kubernetes {
		    kubeconfig /run/cluster/config/dns.kubeconfig
		  }
		}
		. {
		  template ANY ANY {
		    rcode NXDOMAIN
		  }
		}
	END
    printf '%s\n' "clusterDNS: [$node_address]" "clusterDomain: cluster.local" >>kubelet.yaml
}

# These replace every setting that the machine's own RabbitMQ may have in /etc.
write_rabbitmq() {
    cat >rabbitmq.env <<-END
		HOME=/var/lib/rabbitmq
		RABBITMQ_NODENAME=rabbit@$node
		RABBITMQ_CONF_ENV_FILE=/dev/null
		RABBITMQ_CONFIG_FILE=/run/cluster/config/rabbitmq.conf
		RABBITMQ_ADVANCED_CONFIG_FILE=/run/cluster/config/advanced.config
		RABBITMQ_ENABLED_PLUGINS_FILE=/run/cluster/config/enabled_plugins
		RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia
		RABBITMQ_LOG_BASE=/var/log/rabbitmq
		RABBITMQ_LOGS=-
	END
    echo '[].' | tee advanced.config >enabled_plugins
    cat >rabbitmq.conf <<-END
		listeners.tcp.default = 5672
		default_user = $account
		default_pass = $password
		default_user_tags.administrator = true
		vm_memory_high_watermark.absolute = 512MiB
		disk_free_limit.absolute = 64MiB
	END
    chown rabbitmq: rabbitmq.conf enabled_plugins advanced.config
}

write_mariadb() {
    cat >mariadb.sql <<-END
		CREATE OR REPLACE USER '$account'@'%' IDENTIFIED BY '$password';
		GRANT ALL PRIVILEGES ON *.* TO '$account'@'%' WITH GRANT OPTION;
	END
    chown mysql: mariadb.sql
}
