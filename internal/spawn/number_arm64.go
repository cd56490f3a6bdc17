package spawn

const sysExecveat = 281
