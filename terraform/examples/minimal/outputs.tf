output "millrace" {
  description = "All that the module tells."
  value       = module.millrace
}
