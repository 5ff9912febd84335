# order.awk - the layers: which of the others each may use. For layers.awk and symbols.awk.
BEGIN {
	allow["base"]     = "base"
	allow["firmware"] = "base firmware"
	allow["core"]     = "base core"
	allow["bus"]      = "base core bus"
	allow["backend"]  = "base core backend"
	allow["devices"]  = "base core bus firmware backend devices"
	allow["hotplug"]  = "base core bus firmware devices hotplug"
	allow["arch"]     = "base core bus firmware backend devices hotplug arch"
	allow["vm"]       = "base core bus firmware backend devices hotplug arch vm"
	allow["image"]    = "base backend image"
	allow["api"]      = "base vm api"
	allow["runner"]   = "runner schema"
}
